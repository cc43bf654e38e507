"""Tokens and tags as in Hugging Face's data sets: JSON Lines, and a file that names the tags."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

from twinset.core.errors import DataError
from twinset.core.untrusted import parse_json
from twinset.io.faults import Faults
from twinset.io.text.rows import (
    RoundTrip,
    Row,
    Tagged,
    TextColumns,
    TextRows,
    TextWriter,
    cells_of,
    rows_of_tags,
)
from twinset.io.text.spans import TEXT
from twinset.io.text.tokens import Place, fit_spans, joined, spans_of, tags_of, tokens_of

ROWS, FEATURES = "rows.jsonl", "features.json"
TOKENS, TAGS, STARTS = "tokens", "ner_tags", "starts"
_TYPES = {"number": "float64", "integer": "int64", "boolean": "bool"}
_TAG_NAMES = (TAGS, "tags", "ner", "labels")
_HEAD = 1 << 16  # bytes of the first row; a text with more tokens is recognised by no ending


def sniff_tokens(path: Path) -> Path | None:
    """Return the file of rows if its first one has tokens and tags."""
    if path.is_dir():
        return path / ROWS if (path / ROWS).is_file() else None
    with path.open("rb") as stream:
        head = stream.readline(_HEAD)
    try:
        row = parse_json(head)
    except ValueError:
        return None
    return path if isinstance(row, dict) and _tag_key(list(row)) else None


def _tag_key(keys: Sequence[str]) -> str:
    """Return the key of the tags in a row with tokens; empty if there is none."""
    return next((name for name in _TAG_NAMES if name in keys and TOKENS in keys), "")


def read_tokens(file: Path, faults: Faults) -> TextRows:
    """Return the texts of a JSON Lines file with tokens and tags, which may be numbers or names.

    Numbers are named by `features.json` (or `dataset_info.json`) beside the file. If a row has no
    `text` and `starts`, its tokens are separated by one blank.
    """
    lines = list(_lines(file, faults))
    key = _tag_key([*dict.fromkeys(k for _, row in lines for k in row)])
    names = _tag_names(file.parent, key)
    tagged = list[Tagged]()
    for line, values in lines:
        if not names and values.get(key) and _is_list_of(values[key], int):
            raise DataError(
                f"the tags of line {line} are numbers, and nothing says what they mean",
                todo=f"put a {FEATURES} with the names of '{key}' beside the file",
            )
        with faults.caught(f"{file.name}, line {line}"):
            tagged.append(_tagged(values, key, names, f"{file.name}, line {line}"))
    return TextRows(rows_of_tags(tagged, faults))


def _tagged(values: Mapping[str, Any], key: str, names: list[str], place: str) -> Tagged:
    """Return a row with its tags by name."""
    words, tags = values.get(TOKENS), values.get(key)
    if not _is_list_of(words, str) or not (_is_list_of(tags, str) or _is_list_of(tags, int)):
        raise DataError(f"it has no lists '{TOKENS}' and '{key or TAGS}' of texts and tags")
    if len(words) != len(tags):
        raise DataError(f"it has {len(words)} tokens and {len(tags)} tags")
    if any(isinstance(tag, int) and not 0 <= tag < len(names) for tag in tags):
        raise DataError("a tag has no name", allowed=f"0 to {len(names) - 1}")
    text, places = _placed(words, values)
    rises = all(a <= b <= c for (a, b), (c, _) in pairwise([(0, 0), *places]))
    if not rises or any(text[a:b] != word for (a, b), word in zip(places, words)):
        raise DataError("its tokens do not stand in its text where it says")
    cells = cells_of({k: v for k, v in values.items() if k not in (TOKENS, key, TEXT, STARTS)})
    named = [names[tag] if isinstance(tag, int) else tag for tag in tags]
    if any(not word and tag != "O" for word, tag in zip(words, named)):
        raise DataError("a token that is empty has a tag", allowed="O")
    return Tagged(Row(text, [], cells), places, named, lambda k: f"{place}, token {k}")


def _lines(file: Path, faults: Faults) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            found.append((number, row))
        else:
            faults.add(f"{file.name}, line {number}", "it is no JSON object")
    return found


def _tag_names(folder: Path, key: str) -> list[str]:
    """Return the names of tags by number, from a file of features."""
    for name in (FEATURES, "dataset_info.json"):
        try:
            feature = parse_json((folder / name).read_bytes())
            feature = feature.get("features", feature)[key]
            while isinstance(feature, dict) and "names" not in feature:
                feature = feature["feature"]
            names = feature["names"] if isinstance(feature, dict) else feature
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if _is_list_of(names, str):
            return list(names)
    return []


def _placed(words: Sequence[str], values: Mapping[str, Any]) -> tuple[str, list[Place]]:
    text, starts = values.get(TEXT), values.get(STARTS)
    if isinstance(text, str) and _is_list_of(starts, int) and len(starts) == len(words):
        return text, [(start, start + len(word)) for start, word in zip(starts, words)]
    return joined(words, ["", *[" "] * (len(words) - 1), ""] if words else [""])


def _is_list_of(value: Any, kind: type) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and all(
        isinstance(item, kind) and not isinstance(item, bool) for item in value
    )


class TokensWriter(TextWriter):
    """Writes `rows.jsonl` with tokens, tags as numbers (BIO), text and starts.

    `features.json` names the tags, in the form of the library `datasets`.
    """

    is_folder = True

    def begin(self, columns: TextColumns) -> None:
        """Open the file of rows."""
        self.refuse_names(columns, TOKENS, TAGS, TEXT, STARTS)
        self._numbers = {"O": 0}
        self._columns, self._keys = columns, dict[str, None]()
        self._stream = self.open(self.draft / ROWS)

    def put(self, row: Row) -> RoundTrip:
        """Write one text."""
        places = tokens_of(row.text)
        fit = fit_spans(row.spans, places)
        for _, _, label in fit.runs:
            for letter in "BI":
                self._numbers.setdefault(f"{letter}-{label}", len(self._numbers))
        line: dict[str, object] = {
            TOKENS: [row.text[a:b] for a, b in places],
            TAGS: [self._numbers[tag] for tag in tags_of(fit.runs, len(places))],
            TEXT: row.text,
            STARTS: [start for start, _ in places],
            **self._columns.values_of(row),
        }
        self._keys |= dict.fromkeys(row.cells)
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        spans = spans_of(row.text, places, fit.runs)
        return RoundTrip(Row(row.text, spans, row.cells), {"spans": fit.losses()})

    def finish(self) -> None:
        """Write the names of the tags and the types of the columns."""
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
        stream = self.open(self.draft / FEATURES)
        stream.write(json.dumps({"features": features}, indent=1, ensure_ascii=False) + "\n")
