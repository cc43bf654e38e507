"""Are synthetic texts good for anything? Models trained with them, tested on real texts.

    python -m benchmarks.text.usefulness            # all trials: writes usefulness.json and USEFULNESS.md
    python -m benchmarks.text.usefulness --page     # the page alone, from usefulness.json
    python -m benchmarks.text.usefulness --only banking     # one trial anew, the others as they were
    python -m benchmarks.text.usefulness --seeds 2          # a look, nothing is written

Real data: SNIPS (train part to draw from, validation part to test on) and the banking and credit card
intents of CLINC150 (the same). Five draws of real train rows. No choice was made on a test row: what made
rows count, how many there are, and the word lists were settled on other draws, tested on rows of the train
parts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from . import trials
from .usefulness_page import page

HERE = Path(__file__).parent

TRIALS: dict[str, Callable[[Sequence[int]], Any]] = {
    "controls": trials.controls,
    "alone": trials.synthetic_alone,
    "intents": trials.snips_intents,
    "intent sweep": trials.intent_sweep,
    "banking": trials.banking_intents,
    "entities 10": lambda seeds: trials.entities(10, seeds),
    "entities 50": lambda seeds: trials.entities(50, seeds),
    "sweep": trials.entity_sweep,
}


def main() -> None:
    """Run the trials that are asked for."""
    parser = argparse.ArgumentParser(description="Usefulness of synthetic texts")
    parser.add_argument("--only", choices=sorted(TRIALS))
    parser.add_argument("--seeds", type=int, default=len(trials.SEEDS))
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    names = [] if asked.page else [asked.only] if asked.only else list(TRIALS)
    found = measured(names, range(asked.seeds))
    if asked.seeds != len(trials.SEEDS):
        print(json.dumps(found, indent=1))
        return
    if asked.page or asked.only:
        found = json.loads((HERE / "usefulness.json").read_text("utf-8")) | found
    (HERE / "usefulness.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    checked = HERE / "reference_tagger.json"
    reference = json.loads(checked.read_text("utf-8")) if checked.exists() else None
    (HERE / "USEFULNESS.md").write_text(page(found, reference), "utf-8")


def measured(names: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Return what each trial found; processor seconds go to the terminal only."""
    found = {}
    with threadpool_limits(1):
        for name in names:
            start = time.process_time()
            found[name] = TRIALS[name](seeds)
            print(f"{name}: {time.process_time() - start:.0f} s of processor time", flush=True)
    return found


if __name__ == "__main__":
    main()
