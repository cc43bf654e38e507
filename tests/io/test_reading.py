import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from twinset.core.errors import DataError
from twinset.io import read_dataset, read_table

TABLE = pa.table({"age": [31, 47, 50], "sex": ["f", "m", None]})
CSV = "age,sex\n31,f\n47,m\n50,\n"
JSONL = '{"age": 31, "sex": "f"}\n{"age": 47, "sex": "m"}\n{"age": 50}\n'


def feather(path: Path) -> None:
    pyarrow.feather.write_feather(TABLE, path)


def arrow_stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)


WRITERS = {
    "t.csv": lambda p: p.write_text(CSV),
    "t.CSV": lambda p: p.write_text(CSV),
    "t.tsv": lambda p: p.write_text(CSV.replace(",", "\t")),
    "t.csv.gz": lambda p: p.write_bytes(gzip.compress(CSV.encode())),
    "t.jsonl": lambda p: p.write_text(JSONL),
    "t.ndjson": lambda p: p.write_text(JSONL),
    "t.jsonl.gz": lambda p: p.write_bytes(gzip.compress(JSONL.encode())),
    "t.parquet": lambda p: pq.write_table(TABLE, p),
    "t.feather": feather,
    "t.arrow": arrow_stream,
}


def test_one_table_from_every_format(tmp_path: Path) -> None:
    for number, name in enumerate(WRITERS):
        folder = tmp_path / str(number)
        folder.mkdir()
        WRITERS[name](folder / name)
        assert read_table(folder / name).to_pylist() == TABLE.to_pylist()
        assert read_dataset(folder / name).card.name == "t"


def latin_name() -> bytes:
    """Return a Parquet file whose column has a name that is no UTF-8."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"zebra": [1, 2]}), sink)
    return sink.getvalue().replace(b"zebra", b"z\xbdbra")


LATIN_NAME = latin_name()
FAULTS = {
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"\n\n", "is empty"),
    "header.csv": (b"a,b\n", "holds no rows; got a header of 2 columns"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "same name; got 'a' twice"),
    "nameless.csv": (b",a\n0,1\n", "column 1 of .* has no name"),
    "latin.csv": ("a,b\n1,é\n".encode("latin-1"), "not encoded in UTF-8.*iconv"),
    "latin_header.csv": ("é,b\n1,x\n".encode("latin-1"), "not encoded in UTF-8"),
    "utf16.csv": ("a,b\n1,é\n".encode("utf-16"), "not encoded in UTF-8; got UTF-16"),
    "ragged.csv": (b"a,b\n1,2\n3\n", "differ in length; got 1 cells in row 3"),
    "torn.csv.gz": (gzip.compress(CSV.encode() * 99)[:40], "is damaged"),
    "no.csv.gz": (CSV.encode(), "is damaged"),
    "torn.parquet": (b"PAR1 and then nothing", "is damaged or is not what its ending says"),
    "name.parquet": (LATIN_NAME, "is damaged or is not what its ending says"),
    "name.feather": (LATIN_NAME, "is damaged"),
    "csv.parquet": (CSV.encode(), "is damaged or is not what its ending says"),
    "csv.feather": (CSV.encode(), "is damaged"),
    "array.jsonl": (b'[{"a": 1}]\n', "line 1 cannot be read as JSON Lines.*one JSON object a line"),
    "broken.jsonl": (b'{"a": 1}\n{"a": \n', "cannot be read as JSON Lines"),
    "mixed.jsonl": (b'{"a": 1}\n{"a": "x"}\n', "key 'a' changes its type in .*, line 2"),
    "null.jsonl": (b"null\n", "cannot be read as JSON Lines"),
    "null_row.jsonl": (b'{"a": 1}\n null\n{"a": 2}\n', "cannot be read as JSON Lines"),
    "latin_key.jsonl": ('{"é": 1}\n'.encode("latin-1"), "not encoded in UTF-8"),
    "twice.jsonl": (b'{"a": 1, "a": 2}\n', "key 'a' stands twice"),
    "latin.jsonl": ('{"a": "é"}\n'.encode("latin-1"), "not encoded in UTF-8"),
    "blank.jsonl": (b"\n", "is empty|no rows|no columns"),
    "table.xlsx": (b"PK", "format of .* is not known by its ending; got .xlsx; allowed: .csv"),
}


def test_faulty_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    for number, name in enumerate(FAULTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        content, sentence = FAULTS[name]
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=sentence) as caught:
            read_dataset(folder / name)
        assert "\n" not in str(caught.value)


def test_missing_file_names_its_nearest_neighbour(tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text(CSV)
    with pytest.raises(DataError, match=r"there is no file .*; did you mean 'claims.csv'\?"):
        read_table(tmp_path / "claim.csv")


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no image.*for meshes STL, OBJ"):
        read_table(tmp_path)


def test_a_single_image_names_its_folder(tmp_path: Path) -> None:
    (tmp_path / "bolt.PNG").write_bytes(b"x")
    with pytest.raises(
        DataError, match=r"is a single image.*give the folder that holds it"
    ) as told:
        read_table(tmp_path / "bolt.PNG")
    assert ".conllu" not in str(told.value)


def test_parquet_without_rows_or_with_repeated_names(tmp_path: Path) -> None:
    pq.write_table(TABLE.slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="holds no rows"):
        read_table(tmp_path / "none.parquet")
    twice = pa.table([TABLE.column(0), TABLE.column(0)], names=["a", "a"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="'a' twice"):
        read_table(tmp_path / "twice.parquet")


def test_truncated_parquet(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    for length in (3, 20, len(whole) // 2, len(whole) - 1):
        (tmp_path / "t.parquet").write_bytes(whole[:length])
        with pytest.raises(DataError, match="is damaged"):
            read_table(tmp_path / "t.parquet")


def test_pandas_index_columns_are_left_out(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2, 3]})
    frame[frame.a > 1].to_parquet(tmp_path / "p.parquet")
    assert read_table(tmp_path / "p.parquet").to_pydict() == {"a": [2, 3]}


def test_folder_names_are_no_columns(tmp_path: Path) -> None:
    (tmp_path / "year=2024").mkdir()
    pq.write_table(TABLE, tmp_path / "year=2024" / "t.parquet")
    assert read_table(tmp_path / "year=2024" / "t.parquet").column_names == ["age", "sex"]


def test_importing_io_loads_no_format() -> None:
    code = (
        "import sys, twinset.io; assert twinset.io.formats.all_formats(); "
        "print([m for m in sys.modules if m.startswith(('pyarrow', 'sqlite3'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


DEEP_LINES = {
    "object": ('{"a": ' + '{"a":' * 20_000 + "1" + "}" * 20_001, 1),
    "array": ('{"a": 1}\n{"a": ' + "[" * 70 + "]" * 70 + "}\n", 2),
    "lines": ('{"a":\n' * 20_000 + "1" + "}\n" * 20_000, 65),
    "behind": ('{"a": "' + "]" * 30_000 + '", "b": ' + "[" * 30_000 + "]" * 30_000 + "}", 1),
    "blocks": (('{"a": "[[", "b": [{}]}\n' * 30_000) + "[" * 9_000, 30_001),
}


def test_json_lines_that_are_nested_deep_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    for name, (text, line) in DEEP_LINES.items():
        for ending in (".jsonl", ".jsonl.gz"):
            file = tmp_path / f"{name}{ending}"
            data = text.encode()
            file.write_bytes(gzip.compress(data, 1) if ending.endswith("gz") else data)
            with pytest.raises(DataError, match=f"line {line}: values are nested too deep, or"):
                read_table(file)


def test_brackets_in_the_texts_of_json_lines_are_no_nesting(tmp_path: Path) -> None:
    rows = [{"a": "[" * 500 + r"\"" + "{" * 500, "b": [1]}, {"a": "]", "b": []}] * 50
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_table(tmp_path / "t.jsonl").to_pylist() == rows


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.timestamp("s"), -(2**53)),
        (pa.timestamp("ms", tz="UTC"), 2**60),
        (pa.timestamp("us"), 2**62),
        (pa.date32(), 2_932_897),
        (pa.date32(), -719_163),
    ],
)
def test_times_that_no_calendar_has_are_refused(tmp_path, kind, value):
    whole = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    times = pa.array([value, 0, None], whole).cast(kind)
    pq.write_table(pa.table({"a": [1, 2, 3], "odd": times}), tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=r"the column 'odd' of .* the years 1 to 9999; check the unit"
    ):
        read_dataset(tmp_path / "a.parquet")


def test_the_first_and_the_last_day_are_read(tmp_path):
    days = pa.array([-719_162, 2_932_896, None], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"a": [1, 2, 3], "day": days}), tmp_path / "a.parquet")
    assert read_dataset(tmp_path / "a.parquet").schema["day"].kind == "datetime"
