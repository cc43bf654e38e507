"""Tokens and tags as Hugging Face's data sets hold them: JSON Lines, and a file that names the tags."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

from twinset.core.errors import DataError, SchemaError
from twinset.io.text.rows import TEXT, Row, TextColumns, cells_of, span_at
from twinset.io.text.tags import fit_spans, runs_of, scheme_of, tags_of
from twinset.io.text.tokens import Place, joined, tokens_of
from twinset.io.text.writer import RoundTrip, TextWriter
from twinset.io.vision.faults import Faults

ROWS, FEATURES = "rows.jsonl", "features.json"
TOKENS, TAGS, STARTS = "tokens", "ner_tags", "starts"
_TYPES = {"number": "float64", "integer": "int64", "boolean": "bool"}
_TAG_NAMES = (TAGS, "tags", "ner", "labels")


def tag_key(keys: Sequence[str]) -> str:
    """Return which key of a row with tokens holds its tags; empty where there is none.

    Examples
    --------
    >>> tag_key(["id", "tokens", "ner_tags"]), tag_key(["text", "tags"])
    ('ner_tags', '')
    """
    if TOKENS not in keys:
        return ""
    return next((name for name in _TAG_NAMES if name in keys), "")


def read_tokens(file: Path, faults: Faults) -> list[Row]:
    """Return the texts of a JSON Lines file with tokens and tags, which may be numbers or names.

    Numbers are named by `features.json` (or `dataset_info.json`) beside the file. Where a row tells no
    `text` and `starts`, its tokens stand one blank apart.

    Raises
    ------
    DataError
        Tags are numbers, and no file names them.
    """
    told = list(_lines(file, faults))
    key = tag_key([*dict.fromkeys(k for _, row in told for k in row)])
    names = _names(file.parent, key)
    tagged = list[_Tagged]()
    for line, given in told:
        found = _tagged(given, key, names, line)
        if isinstance(found, str):
            faults.add(f"{file.name}, line {line}", found)
        else:
            tagged.append(found)
    scheme, rows = scheme_of(one.tags for one in tagged), list[Row]()
    for one in tagged:
        runs, wrong = runs_of(one.tags, scheme)
        for k, what in wrong:
            faults.add(f"{file.name}, line {one.row.line}, token {k}", what)
        row, places = one.row, one.places
        row.spans = [span_at(row.text, places[a][0], places[b - 1][1], at) for a, b, at in runs]
        if not wrong:
            rows.append(row)
    return rows


@dataclass(frozen=True)
class _Tagged:
    row: Row
    places: list[Place]
    tags: list[str]


def _tagged(given: Mapping[str, Any], key: str, names: list[str], line: int) -> _Tagged | str:
    """Return a row with its tags by name, or what is wrong with it."""
    words, tags = given.get(TOKENS), given.get(key)
    if not _is_list_of(words, str) or not (_is_list_of(tags, str) or _is_list_of(tags, int)):
        return f"it has no lists '{TOKENS}' and '{key or TAGS}' of texts and tags"
    if len(words) != len(tags):
        return f"it has {len(words)} tokens and {len(tags)} tags"
    if not names and tags and isinstance(tags[0], int):
        raise DataError(
            f"the tags of line {line} are numbers, and nothing says what they mean",
            todo=f"put a {FEATURES} with the names of '{key}' beside the file",
        )
    if any(isinstance(tag, int) and not 0 <= tag < len(names) for tag in tags):
        return f"a tag has no name; allowed: 0 to {len(names) - 1}"
    text, places = _placed(words, given)
    rises = all(a <= b <= c for (a, b), (c, _) in pairwise([(0, 0), *places]))
    if not rises or any(text[a:b] != word for (a, b), word in zip(places, words)):
        return "its tokens do not stand in its text where it says"
    cells = cells_of({k: v for k, v in given.items() if k not in (TOKENS, key, TEXT, STARTS)})
    named = [names[tag] if isinstance(tag, int) else tag for tag in tags]
    if any(not word and tag != "O" for word, tag in zip(words, named)):
        return "a token that is empty has a tag; allowed: O"
    return _Tagged(Row(text, [], cells, line), places, named)


def _lines(file: Path, faults: Faults) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            found.append((number, row))
        else:
            faults.add(f"{file.name}, line {number}", "it is no JSON object")
    return found


def _names(folder: Path, key: str) -> list[str]:
    """Return the names of tags that a file of features tells, by number."""
    for name in (FEATURES, "dataset_info.json"):
        try:
            told = json.loads((folder / name).read_bytes())
            told = told.get("features", told)[key]
            while isinstance(told, dict) and "names" not in told:
                told = told["feature"]
            names = told["names"] if isinstance(told, dict) else told
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if _is_list_of(names, str):
            return list(names)
    return []


def _placed(words: Sequence[str], given: Mapping[str, Any]) -> tuple[str, list[Place]]:
    text, starts = given.get(TEXT), given.get(STARTS)
    if isinstance(text, str) and _is_list_of(starts, int) and len(starts) == len(words):
        return text, [(start, start + len(word)) for start, word in zip(starts, words)]
    return joined(words, ["", *[" "] * (len(words) - 1), ""] if words else [""])


def _is_list_of(value: Any, kind: type) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and all(
        isinstance(item, kind) and not isinstance(item, bool) for item in value
    )


class TokensWriter(TextWriter):
    """`rows.jsonl` with tokens, tags as numbers (BIO), text and starts; `features.json` names the tags."""

    def begin(self, columns: TextColumns) -> None:
        """Open the file of rows."""
        taken = {TOKENS, TAGS, TEXT, STARTS} & set(columns.others)
        if taken:
            raise SchemaError(
                f"a column has a name that the format 'tokens' needs: '{min(taken)}'",
                todo="rename the column",
            )
        self._numbers = {"O": 0}
        self._columns, self._keys = columns, dict[str, None]()
        self._stream = self.open(self.place / ROWS)

    def put(self, row: Row) -> RoundTrip:
        """Write one text."""
        places = tokens_of(row.text)
        fit = fit_spans(row.spans, places)
        for _, _, label in fit.runs:
            for letter in "BI":
                self._numbers.setdefault(f"{letter}-{label}", len(self._numbers))
        told: dict[str, object] = {
            TOKENS: [row.text[a:b] for a, b in places],
            TAGS: [self._numbers[tag] for tag in tags_of(fit.runs, len(places))],
            TEXT: row.text,
            STARTS: [start for start, _ in places],
            **self._columns.values_of(row),
        }
        self._keys |= dict.fromkeys(row.cells)
        self._stream.write(json.dumps(told, ensure_ascii=False) + "\n")
        spans = [
            span_at(row.text, places[a][0], places[b - 1][1], label) for a, b, label in fit.runs
        ]
        return RoundTrip(Row(row.text, spans, row.cells), {"spans": fit.told()})

    def finish(self) -> None:
        """Say what the tags mean, in the words of the library `datasets`."""
        texts, whole = ({"dtype": kind, "_type": "Value"} for kind in ("string", "int64"))
        kinds = self._columns.plain
        tags = {"names": list(self._numbers), "_type": "ClassLabel"}
        features = {
            TOKENS: {"feature": texts, "_type": "Sequence"},
            TAGS: {"feature": tags, "_type": "Sequence"},
            TEXT: texts,
            STARTS: {"feature": whole, "_type": "Sequence"},
            **{
                key: {**texts, "dtype": _TYPES.get(kinds.get(key, ""), "string")}
                for key in self._keys
            },
        }
        stream = self.open(self.place / FEATURES)
        stream.write(json.dumps({"features": features}, indent=1, ensure_ascii=False) + "\n")
