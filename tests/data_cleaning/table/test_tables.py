"""Reading any source into codes, and writing changed cells back."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from agentlab_runner.data_cleaning.table.tables import decode, load, read, write
from agentlab_runner.data_cleaning.types import Table

DATA = {"CC": ["US", "CA", "US", None], "N": [7, 10, 7, 3]}


def rows(table: Table) -> list[tuple[str | None, ...]]:
    columns = [[values[code] for code in codes] for codes, values in zip(table.codes, table.values, strict=True)]
    return list(zip(*columns, strict=True))


def duckdb_file(folder: Path) -> str:
    import duckdb

    given = pa.table(DATA)
    with duckdb.connect(str(folder / "t.duckdb")) as connection:
        connection.register("given", given)
        connection.sql("CREATE TABLE kept AS SELECT * FROM given")
    return f"{folder / 't.duckdb'}::kept"


def relation(_: Path) -> Any:
    import duckdb

    return duckdb.connect().from_arrow(pa.table(DATA))


def parquet(folder: Path) -> Path:
    pq.write_table(pa.table(DATA), folder / "t.parquet", row_group_size=2)
    return folder / "t.parquet"


def feather(folder: Path) -> str:
    pyarrow.feather.write_feather(pa.table(DATA), folder / "t.feather")
    return str(folder / "t.feather")


def csv_file(folder: Path, text: str = "CC,N\nUS,7\nCA,10\nUS,7\n,3\n", name: str = "t.csv") -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


def pandas_frame(_: Path) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(DATA, index=[4, 2, 9, 9])


def polars_frame(_: Path) -> Any:
    return pytest.importorskip("polars").DataFrame(DATA)


@pytest.mark.parametrize(
    "source",
    [
        lambda _: DATA,
        lambda _: pa.table(DATA),
        csv_file,
        parquet,
        feather,
        duckdb_file,
        relation,
        pandas_frame,
        polars_frame,
    ],
)
def test_every_source_gives_the_same_codes(source: Callable[[Path], Any], tmp_path: Path):
    table = read(source(tmp_path))
    assert table.names == ("CC", "N")
    assert rows(table) == [("US", "7"), ("CA", "10"), ("US", "7"), (None, "3")]
    assert [codes.tolist() for codes in table.codes] == [[0, 1, 0, 2], [0, 1, 0, 2]]
    assert all(codes.dtype == np.int32 for codes in table.codes)
    assert decode(table, "CC").to_pylist() == DATA["CC"]


def test_csv_text_is_kept_as_written(tmp_path: Path):
    table = read(csv_file(tmp_path, '\ufeffa;b\n007;"x\ny"\n7;""\n\n7.0;\n'))
    assert rows(table) == [("007", "x\ny"), ("7", ""), ("7.0", None)]


def test_distinct_nulls_have_codes_of_their_own():
    given = {"a": ["x", None, "y", None]}
    assert read(given, nulls="distinct").codes[0].tolist() == [0, 2, 1, 3]
    assert read(given, nulls="equal").codes[0].tolist() == [0, 2, 1, 2]
    assert list(read(given, nulls="distinct").values[0]) == ["x", "y", None, None]


def test_dictionaries_are_made_dense_and_unique():
    odd = pa.DictionaryArray.from_arrays(pa.array([3, 1, 0, None]), pa.array(["a", "b", "never", "a"]))
    table = read(pa.table({"c": odd}))
    assert table.codes[0].tolist() == [0, 1, 0, 2]
    assert list(table.values[0]) == ["a", "b", None]


def test_columns_are_chosen_in_the_order_asked_for(tmp_path: Path):
    for source in (csv_file(tmp_path), parquet(tmp_path), DATA):
        assert read(source, columns=["N", "CC"]).names == ("N", "CC")


def test_mixed_values_are_compared_as_text():
    assert rows(read({"a": [1, "x", None]})) == [("1",), ("x",), (None,)]


def test_empty_tables_have_columns_and_no_rows(tmp_path: Path):
    for source in (csv_file(tmp_path, "a,b\n"), {"a": [], "b": []}):
        table = read(source)
        assert table.names == ("a", "b")
        assert table.rows == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; its first line should name the columns"),
        ("a,b\n1,2\n3\n", "Row #3: Expected 2 columns, got 1"),
        ("a,b,a\n1,2,3\n", "more than one column 'a'; rename them"),
    ],
)
def test_bad_csv_is_one_sentence(text: str, message: str, tmp_path: Path):
    with pytest.raises(ValueError, match=message) as caught:
        read(csv_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_other_bad_input_is_one_sentence(tmp_path: Path):
    (tmp_path / "latin.csv").write_bytes("a\nM\xfcnchen\n".encode("latin-1"))
    (tmp_path / "t.xlsx").touch()
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    for source, message in [
        (tmp_path / "no.csv", "there is no file"),
        (tmp_path / "t.xlsx", "format of .* is not known; give .csv"),
        (tmp_path / "torn.parquet", "cannot be read as a table"),
        (tmp_path / "latin.csv", "UTF-?8"),
        ({}, "no columns"),
        (7, "a int is no table"),
        ({"a": [[1], [2]]}, "column 'a' is of type list"),
        (pa.table([[1], [2]], names=["a", "a"]), "more than one column 'a'"),
        (f"{duckdb_file(tmp_path)}x", "it has kept"),
    ]:
        with pytest.raises(ValueError, match=message):
            read(source)
    with pytest.raises(ValueError, match="no column 'CCC'; did you mean 'CC'"):
        read(DATA, columns=["CCC"])
    with pytest.raises(ValueError, match="choose equal or distinct"):
        read(DATA, nulls="same")  # type: ignore[arg-type]


def test_a_csv_keeps_every_byte_but_those_of_the_changed_fields(tmp_path: Path):
    text = '\ufeffkey,"name",size\r\n1,"a ""b""",5" pipe\r\n\r\n2,"",\r\n3,"line\r\nbreak",x\n'
    path = csv_file(tmp_path, text)
    write(path, {"size": {0: "a,b", 2: None}, "name": {1: "new"}}, path)
    expected = text.replace('5" pipe', '"a,b"').replace('2,"",', "2,new,").replace('break",x', 'break",')
    assert path.read_bytes().decode() == expected
    assert rows(read(path)) == [("1", 'a "b"', "a,b"), ("2", "new", None), ("3", "line\r\nbreak", None)]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv"])
def test_other_columns_keep_their_types(suffix: str, tmp_path: Path):
    out = tmp_path / f"out{suffix}"
    write(parquet(tmp_path), {"CC": {3: "MX", 1: None}}, out)
    assert rows(read(out)) == [("US", "7"), (None, "10"), ("US", "7"), ("MX", "3")]
    if suffix != ".csv":
        assert load(out).schema == pa.table(DATA).schema


def test_a_write_that_fails_changes_nothing(tmp_path: Path):
    path = csv_file(tmp_path)
    before = path.read_bytes()
    for source, changes, out, message in [
        (path, {"CC": {4: "x"}}, path, "row 4 is to be changed, but the table has rows 0 to 3"),
        (path, {"no": {0: "x"}}, path, "no column 'no'"),
        (DATA, {"N": {0: "seven"}}, path, "does not fit its type int64"),
        (DATA, {}, tmp_path / "t.xls", "end its name in .csv"),
    ]:
        with pytest.raises(ValueError, match=message):
            write(source, changes, out)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["t.csv"]
