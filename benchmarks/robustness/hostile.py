"""Give twinset hostile and misleading inputs, and compare what it does with what a user expects.

    python -m benchmarks.robustness.hostile                    # all trials, the table on the terminal
    python -m benchmarks.robustness.hostile --only 'csv-.*'    # some of them
    python -m benchmarks.robustness.hostile --place NAME DIR   # the files of a trial, and its commands

A trial declares its `files`, steps `before`, the command `run`, and what is right, `expect`: "refuse"
(one sentence that holds one of `names`, exit code 2, no file changed), {accept: facts}, {note: names}
(accepted, and one of the names is mentioned), or a list of these, each of which is right.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.markdown import table, write_page
from benchmarks.robustness.facts import different_facts
from benchmarks.robustness.files import expand
from benchmarks.robustness.sandbox import RSS_MIB, WALL_SECONDS, Outcome, Sandbox

HERE = Path(__file__).parent
Trial = dict[str, Any]

CLASSES = (
    "right",
    "traceback",
    "silently wrong",
    "crash",
    "hang",
    "memory",
    "wrong exit code",
    "half-written",
    "vague sentence",
)
ACCEPTED = (0, 3)  # 3: done, and a gate failed
LONGEST_SENTENCE = 1500  # characters; several faults of a file may each take a line
LONGEST_WORD = 250  # a longer one echoes hostile input
# Control characters and marks of writing direction that would change what a terminal shows.
UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x9b\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Result:
    """The class of a trial, why it is not right, and what it cost."""

    name: str
    family: str
    kind: str
    reason: str
    seconds: float
    rss_mib: float


def read_trials(paths: Sequence[Path]) -> list[Trial]:
    """Return the trials of YAML files: family -> trials."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    families = [family for path in paths for family in yaml.load(path.read_bytes(), loader).items()]
    return [
        {"family": name, **trial, "run": expand(trial["run"])}
        for name, trials in families
        for trial in trials
    ]


def sentence_fault(trial: Trial, outcome: Outcome) -> str | None:
    """Return what is wrong with the sentence of a refusal."""
    text = outcome.err.strip()
    if not text:
        return "nothing on stderr"
    if re.search(r"\n\s*\n", text) or len(text) > LONGEST_SENTENCE:
        return f"more than one paragraph ({len(text)} characters)"
    if max(map(len, text.split())) > LONGEST_WORD:
        return f"a word of {max(map(len, text.split()))} characters"
    words = shlex.split(trial["run"])
    paths = [Path(word).name for word in words[1:] if not word.startswith("-")]
    names = [str(name).lower() for name in trial.get("names", paths)]
    is_named = any(name in " ".join(text.lower().split()) for name in names)
    if "names" not in trial or not any("/" in name for name in trial.get("files", {})):
        # Any word of what was received or is allowed; of several files, one must be named.
        is_named = is_named or bool(re.search(r"\bgot\b|\ballowed\b|'[^']+'", text))
    return None if is_named or not names else f"names none of {', '.join(names)}"


def changed_files(trial: Trial, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return files that a refused command changed; finished steps of a run may stay."""
    kept = r"\.twinset/" if trial["run"].startswith(("run", "shards")) else r"\.twinset/[^/]*$"
    return [
        name
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and not re.match(kept, name)
    ]


def expectations(trial: Trial) -> Iterator[tuple[str, Any]]:
    """Yield each outcome that is right, and its facts."""
    expected = trial.get("expect", "refuse")
    for one in expected if isinstance(expected, list) else [expected]:
        if one == "refuse":
            yield "refuse", None
        else:
            yield from one.items()


def classify(
    trial: Trial, sandbox: Sandbox, before: Mapping[str, str], outcome: Outcome
) -> tuple[str, str]:
    """Return the class of an outcome and its reason."""
    last = (outcome.err.strip() or outcome.out.strip()).rsplit("\n", 1)[-1][:200]
    said = outcome.out + outcome.err
    if outcome.is_late:
        return "hang", f"{outcome.seconds:.0f} s, {outcome.cpu_seconds:.0f} s of CPU time"
    if "MemoryError" in outcome.err or outcome.rss_mib > RSS_MIB:
        return "memory", f"{outcome.rss_mib:.0f} MiB; {last}"
    if outcome.exit_code < 0:
        return "crash", f"signal {-outcome.exit_code}"
    if "Traceback (most recent call last)" in outcome.err:
        return "traceback", last
    if UNSAFE.search(said):
        return "vague sentence", f"raw control character {UNSAFE.findall(said)[0]!a}"
    left = [path.name for path in sandbox.temporary.rglob("*") if path.is_file()]
    if left:
        return "half-written", f"temporary files are left: {left[:3]}"
    expected = list(expectations(trial))
    accepted = [one for one in expected if one[0] != "refuse"]
    if outcome.exit_code == 2 and len(accepted) < len(expected):
        changed = changed_files(trial, before, sandbox.digests())
        if changed:
            return "half-written", f"changed: {', '.join(changed[:3])}"
        fault = sentence_fault(trial, outcome)
        return ("vague sentence", f"{fault}: {last}") if fault else ("right", "")
    if outcome.exit_code not in ACCEPTED:
        return "wrong exit code", f"{outcome.exit_code}: {last}"
    reasons = [] if accepted else ["it was accepted"]
    for kind, facts in accepted:
        if kind == "accept":
            wrong = different_facts(facts or {}, sandbox, outcome)
            if not wrong:
                return "right", ""
            reasons.append("; ".join(wrong))
        elif any(str(name).lower() in said.lower() for name in facts):
            return "right", ""
        else:
            reasons.append(f"no note names {', '.join(map(str, facts))}")
    return "silently wrong", "; ".join(reasons)


def run_trial(trial: Trial) -> Result:
    """Run one trial in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as folder:
        sandbox = Sandbox(Path(folder)).open(trial.get("files", {}))
        for step in trial.get("before", []):
            sandbox.step(step)
        before = sandbox.digests()
        outcome = sandbox.run(shlex.split(trial["run"]), trial.get("wall", WALL_SECONDS))
        kind, reason = classify(trial, sandbox, before, outcome)
    return Result(
        trial["name"],
        trial["family"],
        kind,
        reason,
        round(outcome.seconds, 1),
        round(outcome.rss_mib),
    )


def summary(results: Sequence[Result]) -> str:
    """Return the Markdown table of outcomes per family."""
    families = dict.fromkeys(result.family for result in results)
    lines = []
    for family in [*families, None]:
        found = Counter(r.kind for r in results if family in (r.family, None))
        counts = [found[kind] or "" for kind in CLASSES]
        lines.append([family or "**all**", sum(found.values()), *counts])
    return table(["family", "trials", *CLASSES], lines)


def put(trial: Trial, folder: Path) -> None:
    """Write the files of a trial, and print its commands."""
    Sandbox(folder).open(trial.get("files", {}))
    for step in trial.get("before", []):
        print(f"twinset {step}" if isinstance(step, str) else f"# {step}")
    print(
        f"cd {folder / 'work'}; twinset {trial['run']}   # expected: {trial.get('expect', 'refuse')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=Path, nargs="+", default=sorted(HERE.glob("cases/*.yaml")))
    parser.add_argument("--only", default="", help="regular expression of names")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file of all outcomes")
    parser.add_argument("--page", type=Path, help="Markdown page whose table is written again")
    parser.add_argument("--place", nargs=2, metavar=("NAME", "DIR"))
    settings = parser.parse_args()
    trials = [
        trial for trial in read_trials(settings.cases) if re.match(settings.only, trial["name"])
    ]
    if settings.place:
        put(next(c for c in trials if c["name"] == settings.place[0]), Path(settings.place[1]))
        return
    results: list[Result] = []
    try:
        with ThreadPoolExecutor(settings.workers) as pool:
            for result in pool.map(run_trial, trials):
                results.append(result)
                if result.kind != "right":
                    print(f"{result.kind:16} {result.name}: {result.reason}", flush=True)
    finally:  # an interrupted trial keeps what it measured
        if settings.out:
            lines = ",\n".join(json.dumps(vars(result), ensure_ascii=False) for result in results)
            settings.out.write_text(f"[\n{lines}\n]\n", "utf-8")
    print(summary(results))
    if settings.page:
        write_page(settings.page, {"hostile inputs": summary(results)})
    sys.exit(any(result.kind != "right" for result in results))


if __name__ == "__main__":
    main()
