"""Canonical values: what case, padding, units, zones, rounding and names of columns cannot hide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError
from twinset.measurement.leakage.decimals import count_decimals
from twinset.measurement.leakage.evidence import Bools, Floats, Keys

Codes = npt.NDArray[np.int64]

_PARSED_SHARE = 0.95  # of the texts of a column: the rest may be typing errors or "n/a"
_MERGED_SHARE = 0.98  # distinct values that must stay distinct when their spelling is ignored
_MANTISSA_BITS = 34  # about ten digits: conversions of units err in the sixteenth
_FEW_LEVELS = 12  # levels that are matched by frequency where the sets share none
# Quantiles by which columns of other names are matched, and their largest distance in spreads.
_QUANTILES, _MAX_DISTANCE = np.linspace(0.05, 0.95, 19), 0.15
_MIN_SHARED_LEVELS = 0.5  # of the levels of a text column with another name
# Divisors of epoch numbers in seconds, milliseconds and microseconds
_EPOCHS = (1e6, 1e3, 1.0)
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")


def parse_numbers(texts: pa.Array) -> Floats | None:
    """Return texts as numbers, NaN where one is missing; None where they are no numbers.

    Signs of currencies and units around a number, blanks, thousands separators and a decimal comma are
    accepted.

    >>> parse_numbers(pa.array(["EUR 1.250,50", "7,25"])).tolist()
    [1250.5, 7.25]
    >>> parse_numbers(pa.array(["R1", "A-2"])) is None
    True
    """
    distinct = pc.dictionary_encode(texts)
    levels = pc.replace_substring_regex(
        distinct.dictionary, r"^(EUR|USD|GBP|[€$£]|\s)+|(EUR|USD|GBP|[€$£%]|\s)+$", ""
    ).to_pylist()
    decimal_comma = sum(bool(re.search(r",\d{1,2}$", text)) for text in levels) > 0
    values = np.full(len(levels) + 1, np.nan)
    for i, text in enumerate(levels):
        plain = text.replace(".", "").replace(",", ".") if decimal_comma else text.replace(",", "")
        if _NUMBER.fullmatch(plain):
            values[i] = float(plain)
    if not len(levels) or np.isfinite(values[:-1]).mean() < _PARSED_SHARE:
        return None
    codes = pc.fill_null(distinct.indices, len(levels)).to_numpy(zero_copy_only=False)
    return np.asarray(values[codes])


def spell_plainly(texts: pa.Array) -> pa.Array:
    """Return texts in lowercase, without blanks, punctuation, accents' variants and leading zeros.

    >>> spell_plainly(pa.array([" C-000123", "c123", "Ab"])).to_pylist()
    ['c123', 'c123', 'ab']
    """
    plain = pc.utf8_lower(pc.utf8_normalize(texts, "NFKC"))
    plain = pc.replace_substring_regex(plain, r"\.0+$", "")
    plain = pc.replace_substring_regex(plain, r"[^\pL\pN]+", "")
    return pc.replace_substring_regex(plain, r"(^|[^0-9])0+([0-9])", r"\1\2")


def canonical_codes(column: pa.ChunkedArray, in_test: Bools) -> Codes:
    """Return codes of a column's texts that are equal for values which differ in spelling; -1: missing."""
    texts = pc.cast(column, pa.string()).combine_chunks()
    encoded = pc.dictionary_encode(texts)
    codes: Codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    levels = encoded.dictionary
    if not len(levels):
        return codes
    plain = pc.dictionary_encode(spell_plainly(levels))
    own = np.unique(codes[~in_test & (codes >= 0)])
    merged = plain.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    if len(np.unique(merged[own])) < _MERGED_SHARE * len(own):
        plain = pc.dictionary_encode(pc.utf8_lower(pc.utf8_trim_whitespace(levels)))
        merged = plain.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    found = np.append(merged, -1)[codes]
    return _match_by_frequency(np.asarray(found), in_test)


def _match_by_frequency(codes: Codes, in_test: Bools) -> Codes:
    """Return codes in which few levels that the sets do not share are matched by their frequency."""
    ranked = []
    for rows in (~in_test, in_test):
        levels, counts = np.unique(codes[rows & (codes >= 0)], return_counts=True)
        if not 2 <= len(levels) <= _FEW_LEVELS:
            return codes
        ranked.append(levels[np.argsort(-counts, kind="stable")])
    if len(ranked[0]) != len(ranked[1]) or np.isin(ranked[1], ranked[0]).any():
        return codes
    place = {int(had): int(new) for had, new in zip(ranked[1], ranked[0], strict=True)}
    mapped = np.arange(codes.max() + 2)
    mapped[-1] = -1
    for had, new in place.items():
        mapped[had] = new
    return np.where(in_test, mapped[codes], codes)


def round_numbers(values: Floats, in_test: Bools) -> Codes:
    """Return codes of numbers, equal to ten digits and to the decimals that both sets have."""
    decimals = [
        float(np.quantile(count_decimals(part), 0.95)) if len(part) else 7.0
        for part in (values[rows & np.isfinite(values)] for rows in (~in_test, in_test))
    ]
    if decimals[0] != decimals[1]:
        values = np.round(values, int(min(decimals)))
    mantissa, exponent = np.frexp(np.where(np.isfinite(values), values + 0.0, 0.0))
    code = np.rint(mantissa * 2.0**_MANTISSA_BITS).astype(np.int64) * 4096 + exponent
    return np.asarray(np.where(np.isfinite(values), code, -1))


@dataclass(frozen=True)
class AlignedSets:
    """A train set and a test set with the same names and kinds of columns."""

    train: Dataset
    test: Dataset
    renamed: Mapping[str, str]  # Column of the test set -> column of the train set
    unmatched: tuple[str, ...]  # Columns that one of the sets lacks


def align_sets(train: Dataset, test: Dataset) -> AlignedSets:
    """Return both sets with the columns that they share, under the names of the train set.

    A column with another name is matched by its spelling, else by its values.

    Raises
    ------
    DataError
        The sets share no column.
    """
    renamed = _match_names(train, test)
    pairs = {name: name for name in train.schema.names if name in test.schema.names}
    pairs |= {own: theirs for theirs, own in renamed.items()}
    if not pairs:
        raise DataError(
            "the train set and the test set share no column",
            todo="give two tables of the same kind of rows",
        )
    kept: list[list[pa.ChunkedArray]] = [[], []]
    fields = []
    for name in (name for name in train.schema.names if name in pairs):
        field, pair = _same_kind(train, test, name, pairs[name])
        fields.append(field)
        for one, column in zip(kept, pair, strict=True):
            one.append(column)
    schema, names = Schema(tuple(fields)), [field.name for field in fields]
    sets = []
    for part, columns in zip((train, test), kept, strict=True):
        table = pa.table(dict(zip(names, columns, strict=True)))
        for name in part.records.column_names:
            if name.startswith("_") and name not in names:
                table = table.append_column(name, part.records.column(name))
        sets.append(Dataset.from_arrow(table, schema, part.card))
    lost = [n for n in train.schema.names if n not in pairs]
    lost += [n for n in test.schema.names if n not in pairs.values()]
    return AlignedSets(sets[0], sets[1], renamed, tuple(lost))


def _match_names(train: Dataset, test: Dataset) -> dict[str, str]:
    """Return the columns of the test set that have another name in the train set."""
    own = [n for n in train.schema.names if n not in test.schema.names]
    others = [n for n in test.schema.names if n not in train.schema.names]
    found: dict[str, str] = {}
    spelt = {re.sub(r"[\W_]+", "", name).lower(): name for name in own}
    for name in others:
        match = spelt.pop(re.sub(r"[\W_]+", "", name).lower(), None)
        if match is not None:
            found[name] = match
    scored = sorted(
        (_column_distance(train, test, mine, theirs), theirs, mine)
        for mine in own
        for theirs in others
        if mine not in found.values() and theirs not in found
    )
    for distance, theirs, mine in scored:
        if distance < _MAX_DISTANCE and theirs not in found and mine not in found.values():
            found[theirs] = mine
    return found


def _column_distance(train: Dataset, test: Dataset, mine: str, theirs: str) -> float:
    """Return how far two columns' values lie from each other: 0 for the same, infinite for others."""
    one, other = train.schema[mine], test.schema[theirs]
    if one.column_kind.has_float_values and other.column_kind.has_float_values:
        if one.column_kind.is_time != other.column_kind.is_time:
            return np.inf
        parts = [part.values(name) for part, name in ((train, mine), (test, theirs))]
        if any(not np.isfinite(part).any() for part in parts):
            return np.inf
        a, b = (np.nanquantile(part, _QUANTILES) for part in parts)
        spread = max(float(a[-1] - a[0]), 1e-12)
        return float(np.abs(a - b).max() / spread)
    if one.column_kind.is_nested or other.column_kind.is_nested or one.kind != other.kind:
        return np.inf
    levels = [
        spell_plainly(pc.unique(pc.cast(part.records.column(name), pa.string()))).unique()
        for part, name in ((train, mine), (test, theirs))
    ]
    shared = pc.sum(pc.is_in(levels[1], value_set=levels[0])).as_py() or 0
    share = shared / max(1, min(len(level) for level in levels))
    return 0.0 if share >= _MIN_SHARED_LEVELS else np.inf


def _same_kind(
    train: Dataset, test: Dataset, name: str, theirs: str
) -> tuple[Field, tuple[pa.ChunkedArray, pa.ChunkedArray]]:
    """Return a column of both sets in one kind, that of the train set where the values allow it."""
    field, other = train.schema[name], test.schema[theirs]
    columns = train.records.column(name), test.records.column(theirs)
    if field.kind == other.kind and field.kind != "datetime":
        return field, columns
    kinds = {field.kind, other.kind}
    if "datetime" in kinds or (field.column_kind.is_time or other.column_kind.is_time):
        numbers = [_instants(column) for column in columns]
        if all(one is not None for one in numbers):
            plain = tuple(pa.chunked_array([one]) for one in numbers)
            return _retyped(field, "datetime"), plain
    numbers = [_plain_numbers(column) for column in columns]
    if kinds <= {"number", "integer", "boolean"} or (
        kinds & {"number", "integer"} and all(one is not None for one in numbers)
    ):
        kept = tuple(pa.chunked_array([one]) for one in numbers)
        return _retyped(field, "number"), kept
    texts = tuple(pc.cast(column, pa.string()) for column in columns)
    kind = "id" if "id" in kinds else "text" if "text" in kinds else "category"
    return _retyped(field, kind), texts


def _retyped(field: Field, kind: str) -> Field:
    """Return a field of another kind with the same name and role."""
    return Field(name=field.name, kind=kind, role=field.role)


def _instants(column: pa.ChunkedArray) -> pa.Array | None:
    """Return dates, texts of dates or epoch numbers as instants without a zone; None for others."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return pc.cast(
            pc.cast(column, pa.timestamp("us"), safe=False), pa.timestamp("us")
        ).combine_chunks()
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = column.to_numpy().astype(np.float64)
        middle = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
        for factor in _EPOCHS:
            if 3e14 < middle * factor < 4e15:  # 1979 to 2096 in microseconds
                micros = np.where(np.isfinite(values), values * factor, 0.0).astype(np.int64)
                return pa.array(micros, pa.timestamp("us"), mask=~np.isfinite(values))
        return None
    texts = pc.cast(column, pa.string()).combine_chunks()
    for form in (
        "%d/%m/%Y %H:%M:%S",
        "%d/%m/%Y",
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%Y/%m/%d",
        "%d.%m.%Y %H:%M",
    ):
        found = pc.strptime(texts, form, "us", error_is_null=True)
        if found.null_count <= texts.null_count + (1 - _PARSED_SHARE) * len(texts):
            return found
    try:
        return pc.cast(texts, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None


def _plain_numbers(column: pa.ChunkedArray) -> pa.Array | None:
    """Return a column as numbers; None where it holds none."""
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        values = parse_numbers(pc.cast(column, pa.string()).combine_chunks())
        return None if values is None else pa.array(values, from_pandas=True)
    try:
        return pc.cast(column, pa.float64()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


_MAX_SHIFT_QUERIES = 300  # test values whose ratios to all train values are counted
_MAX_SHIFT_VALUES = 6_000  # distinct train values: two million ratios take a tenth of a second
_SHIFT_STEPS = 1e-7  # relative width of a bin of ratios
_SHIFT_TIMES = 8.0  # a constant occurs that many times as often as the next one, at least
_MIN_SHIFTED = 12  # values on one constant


def find_constant(
    train: Floats, test: Floats, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Return (factor, offset) such that factor * train + offset meets test values far too often.

    None where values agree as they are, or where no constant stands out. `train`, `test`: values of a
    column in both sets.

    >>> rng = np.random.default_rng(0)
    >>> euro = np.round(rng.lognormal(3, 1, 900), 2)
    >>> factor, offset = find_constant(euro, 100 * euro[:400], rng)
    >>> round(factor), offset
    (100, 0.0)
    """
    base, query = (np.unique(part[np.isfinite(part)]) for part in (train, test))
    if len(base) < 2 * _MIN_SHIFTED or len(query) < 2 * _MIN_SHIFTED:
        return None
    base = rng.choice(base, min(len(base), _MAX_SHIFT_VALUES), replace=False)
    query = rng.choice(query, min(len(query), _MAX_SHIFT_QUERIES), replace=False)
    spread = float(np.subtract(*np.quantile(base, [0.9, 0.1]))) or 1.0
    offset = _most_frequent(query[:, None] - base[None, :], _SHIFT_STEPS * abs(spread))
    if offset is not None:
        return None if abs(offset) <= 1e-6 * spread else (1.0, offset)
    keep = [part[np.abs(part) > 1e-9] for part in (query, base)]
    if any(len(part) < _MIN_SHIFTED for part in keep):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = keep[0][:, None] / keep[1][None, :]
        logs = np.log(np.abs(ratios))
    factor = _most_frequent(logs, _SHIFT_STEPS)
    if factor is None or abs(factor) <= 1e-6:
        return None
    return float(np.exp(factor)), 0.0


def _most_frequent(values: Floats, step: float) -> float | None:
    """Return the value that occurs far more often than the next one; or None."""
    cells = np.rint(values.ravel() / step).astype(np.int64)
    levels, counts = np.unique(cells, return_counts=True)
    if len(levels) < 3:
        return None
    best = int(np.argmax(counts))
    if counts[best] < _MIN_SHIFTED:
        return None
    # The neighbouring bins of a constant hold its rounding errors.
    far = np.abs(levels - levels[best]) > 2
    if counts[best] < _SHIFT_TIMES * counts[far].max(initial=0):
        return None
    near = values.ravel()[cells == levels[best]]
    return float(np.median(near))


def canonical_cells(
    parts: Sequence[Dataset], names: Sequence[str], rng: np.random.Generator
) -> tuple[dict[str, Codes], dict[str, str]]:
    """Return canonical codes of the named columns, shape (n,), and notes on those with other units."""
    in_test = np.repeat([False, True], [len(part) for part in parts])
    cells: dict[str, Codes] = {}
    units: dict[str, str] = {}
    for name in names:
        kind = parts[0].schema[name].column_kind
        if kind.is_nested:
            continue
        if all(part.schema[name].column_kind.has_float_values for part in parts):
            values = np.concatenate([part.values(name) for part in parts])
            constant = find_constant(values[~in_test], values[in_test], rng)
            if constant is not None:
                factor, offset = constant
                values = np.where(in_test, (values - offset) / factor, values)
                units[name] = "factor" if offset == 0 else "offset"
            cells[name] = round_numbers(values, in_test)
        else:
            columns = [pc.cast(part.records.column(name), pa.string()) for part in parts]
            joined = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
            cells[name] = canonical_codes(joined, in_test)
    return cells, units


def as_keys(codes: Codes) -> Keys:
    """Return codes as unsigned integers of the same bits."""
    return codes.view(np.uint64)
