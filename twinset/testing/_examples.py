"""Small example sets of any kinds of columns, for checks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Comparison, ComparisonContext, Positions
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, OBJECT, SPAN, Field, Schema
from twinset.core.seeding import rng_for

Labels = npt.NDArray[np.bool_]

_HEIGHT, _WIDTH = 24, 32
_CALM, _ANGRY = ("thanks", "all", "is", "well", "today"), ("broken", "refund", "now", "please")


def example_dataset(
    kinds: Collection[str], *, rows: int = 60, seed: int = 0, missing: bool = True
) -> Dataset:
    """Return a small real set with columns of these kinds, and `_id`.

    The label (column `label`, role target) is "yes" in a quarter of the rows and shifts the other
    columns, so that there is something to learn. About a sixth of the values of `amount` and `colour`
    are missing.

    Parameters
    ----------
    kinds : collection of str
        Field kinds to make columns of.
    rows : int
        Number of rows, 0 or more.
    seed : int
        Decides the values.
    missing : bool
        Whether values are missing.

    Raises
    ------
    MissingExtraError
        Images are wanted and OpenCV is not installed.

    Examples
    --------
    >>> [field.name for field in example_dataset({"number", "category"}).schema.fields]
    ['amount', 'balance', 'colour', 'label']
    """
    rng = rng_for(seed, "example")
    label = np.arange(rows) % 4 == 0
    fields: list[Field] = []
    columns: dict[str, pa.Array] = {}
    for kind, make in _MAKERS.items():
        if kind in kinds:
            for field, column in make(label, rng, missing):
                fields.append(field)
                columns[field.name] = column
    card = Card(name="example", origin="real")
    made = Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)), card)
    ids = pa.array([f"example-{seed}-{i}" for i in range(rows)], pa.string())
    return replace(made, records=made.records.append_column("_id", ids))


def example_comparison(kinds: Collection[str], *, rows: int = 80) -> Comparison:
    """Return what a metric looks at, made of example sets of these kinds.

    Examples
    --------
    >>> comparison = example_comparison({"number", "category"})
    >>> len(comparison.train), comparison.target, comparison.positive
    (80, 'label', 'yes')
    """
    train, synthetic, reference = (example_dataset(kinds, rows=rows, seed=s) for s in (1, 2, 3))
    has_target = "category" in kinds

    def resampled(
        seen: Positions, others: Positions, max_rows: int, rng: np.random.Generator
    ) -> Dataset:
        real = Dataset.concat([train.take(seen), reference.take(others)])
        return real.take(rng.integers(0, max(len(real), 1), len(real))[:max_rows])

    return Comparison(
        train=train,
        synthetic=synthetic.with_card(name="synthetic", origin="synthetic"),
        reference=reference,
        target="label" if has_target else None,
        positive="yes" if has_target else None,
        population={"colour": {"red": 0.5, "green": 0.3, "blue": 0.2}} if has_target else {},
        context=ComparisonContext(refit=resampled, reading_faults=()),
    )


Columns = list[tuple[Field, pa.Array]]


def _numbers(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    balance = rng.normal(size=len(label)) + 2 * label
    amount = np.round(np.exp(balance + 0.3 * rng.normal(size=len(label))), 2)
    gone = missing & (rng.random(len(label)) < 1 / 6)
    return [
        (Field(name="amount", kind="number", decimals=2), pa.array(amount, mask=gone)),
        (Field(name="balance", kind="number", nullable=False), pa.array(balance)),
    ]


def _integers(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    return [(Field(name="visits", kind="integer"), pa.array(rng.poisson(3 + 4 * label)))]


def _categories(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    drawn = rng.choice(["red", "green", "blue"], size=len(label), p=[0.5, 0.3, 0.2])
    gone = missing & (rng.random(len(label)) < 1 / 6)
    colour = Field(name="colour", kind="category", levels=("blue", "green", "red"))
    target = Field(
        name="label", kind="category", role="target", levels=("no", "yes"), nullable=False
    )
    labels = np.where(label, "yes", "no").tolist()
    return [
        (colour, pa.array(drawn.tolist(), pa.string(), mask=gone)),
        (target, pa.array(labels, pa.string())),
    ]


def _booleans(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    insured = rng.random(len(label)) < 0.3 + 0.4 * label
    return [(Field(name="insured", kind="boolean"), pa.array(insured))]


def _datetimes(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    day = 86_400_000_000
    when = 19_000 * day + rng.integers(0, 300, len(label)) * day
    return [(Field(name="opened", kind="datetime"), pa.array(when, pa.timestamp("us")))]


def _ids(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    numbers = rng.permutation(9 * len(label))[: len(label)]
    ids = pa.array([f"C-{number:05d}" for number in numbers], pa.string())
    return [(Field(name="customer", kind="id", role="identifier"), ids)]


def _texts(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    texts = [" ".join(_words(is_angry, rng)) for is_angry in label]
    return [(Field(name="message", kind="text"), pa.array(texts, pa.string()))]


def _words(is_angry: bool, rng: np.random.Generator) -> list[str]:
    words = list(rng.choice(_ANGRY if is_angry else _CALM, size=rng.integers(3, 7)))
    return ["order", str(rng.integers(100, 999)), *(str(word) for word in words)]


def _spans(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    # Every message begins with "order NNN": the number is the one thing marked.
    mark = {"start": 6, "end": 9, "label": "number", "value": None}
    return [(Field(name="marks", kind="spans"), pa.array([[mark]] * len(label), pa.list_(SPAN)))]


def _squares(label: Labels, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Draw one square a row: left, top, side; those of the label yes are larger."""
    side = np.where(label, 10, 5)
    left, top = rng.integers(1, _WIDTH - 11, len(label)), rng.integers(1, _HEIGHT - 11, len(label))
    return [(int(x), int(y), int(s)) for x, y, s in zip(left, top, side)]


def _images(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    return [(Field(name="photo", kind="image"), _drawn(label, "photo", rng))]


def _masks(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    return [(Field(name="instances", kind="mask"), _drawn(label, "instances", rng))]


def _boxes(label: Labels, rng: np.random.Generator, missing: bool) -> Columns:
    rows = []
    for left, top, side in _squares(label, rng_for(len(label), "squares")):
        square = {"id": 1, "category": "square", "box": [left, top, left + side, top + side]}
        square |= {"area": side**2, "visible_fraction": 1.0, "truncated": False, "keypoints": []}
        rows.append([square])
    return [(Field(name="objects", kind="boxes"), pa.array(rows, pa.list_(OBJECT)))]


def _drawn(label: Labels, column: str, rng: np.random.Generator) -> pa.Array:
    from twinset.core.image.codec import encode_png

    files = []
    # The squares have a stream of their own: image, id map and boxes speak of the same ones.
    for left, top, side in _squares(label, rng_for(len(label), "squares")):
        inside = np.zeros((_HEIGHT, _WIDTH), dtype=np.uint16)
        inside[top : top + side, left : left + side] = 1
        photo = np.where(inside[..., None] == 1, [200, 90, 40], [60, 70, 80])
        photo = photo + rng.integers(-20, 20, (_HEIGHT, _WIDTH, 3))
        files.append(encode_png(inside if column == "instances" else photo.astype(np.uint8)))
    blobs = [pa.array(files, pa.binary()), pa.nulls(len(files), pa.string())]
    return pa.StructArray.from_arrays(blobs, fields=list(BLOB))


_MAKERS: dict[str, Callable[[Labels, np.random.Generator, bool], Columns]] = {
    "number": _numbers, "integer": _integers, "boolean": _booleans, "datetime": _datetimes,
    "id": _ids, "text": _texts, "spans": _spans, "image": _images, "mask": _masks,
    "boxes": _boxes, "category": _categories,
}  # fmt: skip
