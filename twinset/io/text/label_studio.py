"""Label Studio: tasks in JSON with their annotations, and the settings of a project for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from twinset.core.errors import DataError
from twinset.io.faults import Faults
from twinset.io.files import read_json
from twinset.io.text.rows import RoundTrip, Row, TextColumns, TextRows, TextWriter, cells_of
from twinset.io.text.spans import SPANS, TEXT, span_at

TASKS, CONFIG = "tasks.json", "config.xml"
_HEAD = 1 << 16  # bytes that decide whether a JSON file has tasks: the first one begins in them


def sniff_labelstudio(path: Path) -> Path | None:
    """Return a JSON file, or that of a folder, that begins like a list of tasks."""
    file = path / TASKS if path.is_dir() else path
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        head = stream.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
    return file if head.startswith(b"[") and b'"data"' in head else None


def read_labelstudio(file: Path, faults: Faults) -> TextRows:
    """Return the texts of an export in JSON.

    Of several annotations of a task the first that was not cancelled is read; predictions are not.
    """
    tasks = read_json(file)
    if not isinstance(tasks, list):
        raise DataError(f"'{file.name}' is no list of tasks", got=type(tasks).__name__)
    rows, more, choices = list[Row](), 0, dict[str, None]()
    for k, task in enumerate(tasks):
        with faults.caught(f"{file.name}, task {k}"):
            data = task.get("data") if isinstance(task, dict) else None
            if not isinstance(data, dict) or not isinstance(data.get(TEXT), str):
                raise DataError(f"it has no 'data' with a '{TEXT}'")
            row = Row(data[TEXT], [], cells_of({k: v for k, v in data.items() if k != TEXT}))
            own = _annotations(task)
            more += len(own) > 1
            for item in own[0] if own else []:
                _add_result(item, row, choices)
            rows.append(row)
    notes = (f"{more} tasks have several annotations; the first of each is read",) if more else ()
    return TextRows(rows, notes, next(iter(choices), ""))


def _annotations(task: Mapping[str, Any]) -> list[list[Any]]:
    """Return the results of each annotation that was not cancelled."""
    annotations = task.get("annotations") or []
    if not isinstance(annotations, list):
        raise DataError("its 'annotations' are no list")
    own = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
    found = [a.get("result") or [] for a in own]
    if not all(isinstance(results, list) for results in found):
        raise DataError("the 'result' of an annotation is no list")
    return found


def _add_result(item: Any, row: Row, choices: dict[str, None]) -> None:
    """Add one result of an annotation to its row."""
    value = item.get("value") if isinstance(item, dict) else None
    if not isinstance(value, Mapping):
        raise DataError("a result has no value")
    if item.get("type") == "choices":
        name, chosen = str(item.get("from_name")), value.get("choices")
        if not isinstance(chosen, list) or len(chosen) != 1:
            raise DataError(f"'{name}' holds several choices", allowed="one")
        row.cells[name] = str(chosen[0])
        choices[name] = None
    if item.get("type") in ("labels", "hypertextlabels"):
        start, end, labels = value.get("start"), value.get("end"), value.get("labels")
        if not isinstance(start, int) or not isinstance(end, int) or not isinstance(labels, list):
            raise DataError("a span has no 'start', 'end' and 'labels'")
        if not labels:
            raise DataError("a span has no label")
        span = f"the span [{start}, {end})"
        if not 0 <= start < end <= len(row.text):
            raise DataError(f"{span} leaves its text of {len(row.text)} characters")
        if value.get("text") not in (None, row.text[start:end]):
            raise DataError(f"{span} is not where its own 'text' stands")
        row.spans += [span_at(row.text, start, end, str(label)) for label in labels]


class LabelstudioWriter(TextWriter):
    """Writes `tasks.json` with an annotation for each text, and `config.xml`, settings of a project."""

    is_folder = True

    def begin(self, columns: TextColumns) -> None:
        """Open the file of tasks."""
        self.refuse_names(columns, TEXT)
        self._columns, self._label = columns, columns.label
        self._names: dict[str, dict[str, None]] = {SPANS: {}, self._label: {}}
        self._stream = self.open(self.draft / TASKS)
        self._stream.write("[")

    def put(self, row: Row) -> RoundTrip:
        """Write one task."""
        number = self.losses.n_rows
        chosen = row.cells.get(self._label) if self._label else None
        data = {TEXT: row.text, **self._columns.values_of(row)}
        data.pop(self._label, None)
        back = [span_at(row.text, s["start"], s["end"], s["label"]) for s in row.spans]
        result = []
        for k, span in enumerate(back):
            value = {"start": span["start"], "end": span["end"], "text": span["value"]}
            labels = {**value, "labels": [span["label"]]}
            result.append(_result(SPANS, "labels", labels, f"{number}-{k}"))
            self._names[SPANS][span["label"]] = None
        if chosen is not None:
            self._names[self._label][chosen] = None
            result.append(_result(self._label, "choices", {"choices": [chosen]}, f"{number}-c"))
        task = {"id": number + 1, "data": data, "annotations": [{"result": result}]}
        self._stream.write(",\n" if number else "\n")
        self._stream.write(json.dumps(task, ensure_ascii=False))
        return RoundTrip(Row(row.text, back, row.cells))

    def finish(self) -> None:
        """End the list and write the settings."""
        self._stream.write("\n]\n")
        lines = ["<View>", f'  <Text name="{TEXT}" value="${TEXT}"/>']
        for name, tag, one in ((SPANS, "Labels", "Label"), (self._label, "Choices", "Choice")):
            names = self._names[name]
            if names:
                lines.append(f'  <{tag} name={quoteattr(name)} toName="{TEXT}">')
                lines += [f"    <{one} value={quoteattr(value)}/>" for value in sorted(names)]
                lines.append(f"  </{tag}>")
        self.open(self.draft / CONFIG).write("\n".join([*lines, "</View>"]) + "\n")


def _result(name: str, kind: str, value: Mapping[str, Any], number: str) -> dict[str, Any]:
    return {"id": number, "from_name": name, "to_name": TEXT, "type": kind, "value": value}
