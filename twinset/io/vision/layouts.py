"""Read a folder of annotated images into a table, whole or one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label
from twinset.io.vision.faults import Faults, OnFault
from twinset.io.vision.samples import Sample, Samples, settle_extras, to_dataset, whole_row

ReadSamples = Callable[[Path, Faults], Samples]


def read_layout(
    read: ReadSamples, layout: str, path: Path, name: str, on_fault: OnFault = "stop"
) -> Dataset:
    """Return an annotated set as a table: image, instances, objects and what else the format tells.

    Parameters
    ----------
    read : callable
        Yields the samples of the layout.
    layout : str
        Name of the format, for messages.
    path : Path
        The file or folder to read.
    name : str
        Name of the set.
    on_fault : {"stop", "skip"}
        Whether faults end the reading, or what they concern is left out and noted on the card.

    Raises
    ------
    DataError
        Something cannot be used; the error lists all faults with file and line.
    """
    faults = Faults(on_fault)
    samples: list[Sample] = []
    labels = _each(read(path, faults), samples.append)
    settle_extras(samples, faults)
    notes = faults.settle(f"the {layout} set '{name}'")
    return to_dataset(samples, labels, name, notes)


def stream_layout(
    read: ReadSamples, layout: str, path: Path, name: str, on_fault: OnFault = "stop"
) -> Iterator[Dataset]:
    """Yield the rows of `read_layout` one at a time: memory holds all labels, and one picture.

    Every file is read twice, first to find all faults and what the columns are.

    Parameters
    ----------
    read, layout, path, name, on_fault
        As in `read_layout`.

    Raises
    ------
    DataError
        Something cannot be used; the error lists all faults with file and line, before the first row.
    """
    faults = Faults(on_fault)
    outlines: list[Sample] = []
    labels = _each(
        read(path, faults),
        lambda s: outlines.append(replace(s, data=b"", map_data=s.map_data and b"")),
    )
    settle_extras(outlines, faults)
    notes = faults.settle(f"the {layout} set '{name}'")
    if any(outline.map_data is not None for outline in outlines):
        for outline in outlines:
            outline.map_data = b""
    whole = to_dataset(outlines, labels, name, notes)
    again = read(path, Faults("skip"))
    for sample, outline in zip(again, outlines):
        row = whole_row(replace(sample, extras=outline.extras), whole.schema)
        yield Dataset.from_arrow(row, whole.schema, whole.card)


def _each(samples: Samples, take: Callable[[Sample], None]) -> list[Label]:
    """Hand over every sample; return the labels that come in the end."""
    while True:
        try:
            sample = next(samples)
        except StopIteration as end:
            return list(end.value)
        take(sample)
