"""The three augmenters of texts give the same bytes in another process, whatever it hashes by."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import pyarrow as pa
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.seeding import rng_for
from twinset.registry import build

towns = [f"Town{k}" for k in range(40)]
texts = [f"Don't go{k} to {t} 👩‍👧, it is number {k} tomorrow" for k, t in enumerate(towns)]
spans = [[{"start": x.index(t), "end": x.index(t) + len(t), "label": "c", "value": t}]
         for x, t in zip(texts, towns)]
schema = Schema((Field(name="text", kind="text"), Field(name="spans", kind="spans")))
table = pa.table({"text": texts, "spans": pa.array(spans, pa.list_(SPAN))})
data = Dataset.from_arrow(table, schema).with_reserved(ids=texts)
for name, settings in (
    ("text.noise", {"protect": "none", "typo": 0.2, "homophone": 1.0, "ocr": 0.1}),
    ("text.entity_swap", {"lexicon": {"c": {"Rome": 1, "Ulm": 2}}, "lexicon_share": 0.5}),
    ("text.mix", {"swap_rate": 0.5, "max_overlap": 1.0}),
):
    augmenter = build("augmenter", name, settings)
    made = augmenter.apply(data, augmenter.draw(data, rng_for(4, name)))
    print(name, made.digest)
"""


def digests(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_another_process_gives_the_same_bytes() -> None:
    first = digests("1")
    assert len({line.split()[1] for line in first.splitlines()}) == 3
    assert digests("2") == first
