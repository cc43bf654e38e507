"""Texts a CPU second of one core, memory of a million rows, and pools of Faker against plain calls of it.

Run: python -m benchmarks.text.grammar [--rounds 5] [--rows 20000] [--many 1000000]
Writes grammar.json beside this file and prints the tables that RESULTS.md shows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from twinset.core.data.dataset import Dataset
from twinset.generation.sampling import fit_source
from twinset.recipe import load_recipe
from twinset.registry import build

HERE = Path(__file__).parent
POOLS = import_module("twinset.generators.text._grammar.faker_pool")
TEMPLATES = import_module("twinset.generators.text._grammar.demo_templates").TEMPLATES
PACKS = ("built-in", "finance", "legal", "clinical", "support.en", "support.de")
PROVIDERS = {
    "en_US": ("name", "city", "company", "ascii_safe_email", "street_address", "job"),
    "de_DE": ("name", "city", "company", "ascii_safe_email", "street_address", "job"),
    "fr_FR": ("name", "city", "company", "street_address", "job"),
}
_POOL, _CALLS = 4_000, 2_000


def chunks(pack: str, rows: int, seed: int, workers: int = 1) -> Iterator[Dataset]:
    """Yield a set as a run draws it: exact shares, no text twice."""
    settings: dict[str, Any] = {}
    if pack != "built-in":
        overrides = [f"generate.0.with.grammar={pack}", "generate.0.rows=100"]
        settings = load_recipe("text_packs", overrides).generate[0].settings
    generator = build("generator", "text.templates", settings)
    return fit_source(generator, None, seed=seed, path=("speed",)).draw(rows, workers=workers)


def seconds(job: Callable[[], Any]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def naive(rows: int) -> None:
    """Fill the built-in templates by plain calls of Faker: no spans, no shares, no check for repeats."""
    from faker import Faker

    fake = Faker("en_US")
    fake.seed_instance(0)
    products = ["coffee grinder", "desk lamp", "kettle", "tent for two"]
    texts = [text for own in TEMPLATES.values() for text in own]
    slots: dict[str, Callable[[], str]] = {
        "amount": lambda: fake.numerify("%#.## EUR"),
        "city": fake.city,
        "company": fake.company,
        "date": lambda: str(fake.date_object().strftime("%d %B")),
        "email": fake.ascii_safe_email,
        "name": fake.name,
        "order": lambda: fake.bothify("??-######"),
        "product": lambda: fake.random_element(products),
    }
    for i in range(rows):
        text = texts[i % len(texts)]
        used = {name: draw() for name, draw in slots.items() if f"{{{name}}}" in text}
        text.format(**used)


def rates(rows: int, rounds: int) -> dict[str, float]:
    """Return rows a CPU second, medians over rounds in which the jobs take turns."""
    found: dict[str, list[float]] = {pack: [] for pack in (*PACKS, "plain Faker")}
    for k in range(rounds):
        for pack in PACKS:
            own = min(rows, 8_192 if pack == "clinical" else rows)  # it has no 20,000 texts
            drawn = chunks(pack, own, seed=k)
            found[pack].append(own / seconds(lambda d=drawn: list(d)))  # type: ignore[misc]
        found["plain Faker"].append(2_000 / seconds(lambda: naive(2_000)))
    return {name: statistics.median(values) for name, values in found.items()}


def pools(rounds: int) -> list[dict[str, Any]]:
    """Return microseconds a value: plain calls, a pool while it is filled, and the first such pool.

    Only the first one of a process makes the Faker of its locale and reads the code of the provider.
    """
    from faker import Faker

    told = []
    for locale, providers in PROVIDERS.items():
        fake = Faker(locale)
        fake.seed_instance(0)
        for provider in providers:
            call = getattr(fake, provider)
            plain, fill = [], []
            POOLS._faker.cache_clear()
            for k in range(rounds):
                plain.append(seconds(lambda c=call: [c() for _ in range(_CALLS)]) / _CALLS)  # type: ignore[misc]
                start = time.process_time()
                values = POOLS.faker_values(
                    provider, {}, locale=locale, calls=_POOL, seed=k, subject="the slot"
                )
                fill.append((time.process_time() - start) / _POOL)
            first, *later = fill
            one, other = statistics.median(plain), statistics.median(later)
            told.append(
                {
                    "provider": f"{locale} {provider}",
                    "plain": one * 1e6,
                    "fill": other * 1e6,
                    "first": first * 1e6,
                    "ratio": one / other,
                    "values": len(values),
                    # What 100,000 texts pay: filling once, then looking up.
                    "ratio_100k": one * 1e5 / (first * _POOL + 1e5 * 0.2e-6),
                }
            )
    return told


def look(pack: str, rows: int, workers: int) -> dict[str, Any]:
    """Draw a set and return what holds of it: spans, repeats, shares, bytes, memory."""
    digest, n, wrong, empty = hashlib.sha256(), 0, 0, 0
    labels: Counter[str] = Counter()
    texts: set[int] = set()
    start = time.process_time()
    for chunk in chunks(pack, rows, seed=11, workers=workers):
        n += len(chunk)
        labels.update(chunk.records.column("label").to_pylist())
        if rows > 200_000:
            continue
        digest.update(chunk.digest.encode())
        for row in chunk.records.select(["text", "spans"]).to_pylist():
            texts.add(hash(row["text"]))
            for span in row["spans"]:
                wrong += row["text"][span["start"] : span["end"]] != span["value"]
                empty += not span["value"].strip()
    return {
        "rows": n,
        "cpu_seconds": time.process_time() - start,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "labels": dict(labels),
        "repeats": n - len(texts) if texts else None,
        "wrong_spans": wrong,
        "empty_spans": empty,
        "digest": digest.hexdigest()[:16],
    }


def looked(pack: str, rows: int, workers: int) -> dict[str, Any]:
    """Look in a process of its own, so that memory is that of the one set."""
    words = [sys.executable, "-m", "benchmarks.text.grammar", "--look", pack, str(rows)]
    run = subprocess.run([*words, str(workers)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def tables(found: dict[str, Any]) -> str:
    base = found["rates"]["plain Faker"]
    lines = ["| grammar | rows a CPU second | against plain Faker |", "|---|---|---|"]
    lines += [f"| {k} | {v:,.0f} | {v / base:.0f} |" for k, v in found["rates"].items()]
    lines += [
        "",
        "| provider | plain call, µs | pool, µs a value | ratio | first pool, µs a value | "
        "ratio in 100,000 texts |",
    ]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {p['provider']} | {p['plain']:.1f} | {p['fill']:.1f} | {p['ratio']:.1f} | {p['first']:.1f} | "
        f"{p['ratio_100k']:.0f} |"
        for p in found["pools"]
    ]
    lines += ["", "| set | rows | CPU s | peak MB | repeats | wrong spans | empty spans | bytes |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {s['rows']:,} | {s['cpu_seconds']:.1f} | {s['peak_megabytes']:.0f} | "
        f"{'-' if s['repeats'] is None else s['repeats']} | "
        f"{'-' if s['repeats'] is None else s['wrong_spans']} | "
        f"{'-' if s['repeats'] is None else s['empty_spans']} | "
        f"{'-' if s['repeats'] is None else s['digest']} |"
        for name, s in found["sets"].items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--look", nargs=3)
    told = parser.parse_args()
    if told.look:
        print(json.dumps(look(told.look[0], int(told.look[1]), int(told.look[2]))))
        return
    found = {
        "rates": rates(told.rows, told.rounds),
        "pools": pools(told.rounds),
        "sets": {
            "built-in, 1 worker": looked("built-in", 100_000, 1),
            "built-in, 4 workers": looked("built-in", 100_000, 4),
            "finance": looked("finance", 100_000, 1),
            "built-in, streamed": looked("built-in", told.many, 1),
        },
    }
    (HERE / "grammar.json").write_text(json.dumps(found, indent=1) + "\n")
    print(tables(found))


if __name__ == "__main__":
    main()
