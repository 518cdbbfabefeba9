"""Any columnar source as Arrow: whole, or batch by batch."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pyarrow as pa

from agentlab_runner.data_cleaning.table.delimited import ENDINGS, Delimited, understand

DUCKDB = (".duckdb", ".db")
FORMATS = ".csv, .tsv, .parquet, .arrow, .feather or FILE.duckdb::TABLE"


def load(source: Any, columns: Sequence[str] | None = None) -> pa.Table:
    """The source as an Arrow table with its own types (CSV: all text); arguments and errors as in `read`."""
    with _explained(source):
        table = _arrow(source, columns)
    names = table.column_names
    if not names:
        raise ValueError("the table has no columns; give one with a header")
    _unique(names)
    table = table if columns is None else table.select(_chosen(columns, names))
    for field in table.schema:
        if pa.types.is_nested(field.type):
            raise ValueError(f"column {field.name!r} is of type {field.type}; flatten it or leave it out of the table")
    return table


def stream(source: Any, columns: Sequence[str] | None = None) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    """Column names, and the rows as batches of text; a CSV or Parquet file is never in memory as a whole.

    Arguments and errors as in `read`; those about the contents may come with any batch.
    """
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    text = delimited(source)
    if text:
        with _explained(source):
            _unique(text.names)
            names = text.names if columns is None else _chosen(columns, text.names)
        batches = text.batches(None if columns is None else names)
    elif path and path.suffix.lower() == ".parquet" and path.is_file():
        import pyarrow.parquet as pq

        with _explained(source):
            file = pq.ParquetFile(path)
        names = file.schema_arrow.names if columns is None else _chosen(columns, file.schema_arrow.names)
        batches = file.iter_batches(columns=names)
    else:
        table = load(source, columns)
        names, batches = table.column_names, iter(table.to_batches())
    _unique(names)
    return names, _texts(source, names, batches)


def delimited(source: Any) -> Delimited | None:
    """The source as a text file of records, if it is one."""
    if isinstance(source, Delimited):
        return source
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    return understand(path) if path and path.suffix.lower() in ENDINGS and path.is_file() else None


def _texts(source: Any, names: Sequence[str], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with _explained(source):
        for batch in batches:
            texts = [as_text(name, column) for name, column in zip(names, batch.columns, strict=True)]
            yield pa.RecordBatch.from_arrays(texts, names=list(names))


def known(name: str, names: Sequence[str]) -> int:
    """The position of column `name`, or ValueError with the nearest name there is."""
    if name in names:
        return list(names).index(name)
    near = get_close_matches(name, names, 1)
    guess = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(names)}"
    raise ValueError(f"the table has no column {name!r}; {guess}")


@contextmanager
def _explained(source: Any) -> Iterator[None]:
    """Turn Arrow's errors about the source into a sentence."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        where = repr(str(source)) if isinstance(source, str | os.PathLike) else "the table"
        where = repr(str(source.path)) if isinstance(source, Delimited) else where
        raise ValueError(f"{where} cannot be read as a table: {_fault(str(error).splitlines()[0])}") from error


def _fault(said: str) -> str:
    """What Arrow says of a file, with what may mend it."""
    if "UTF8" in said:
        return f"{said.rpartition(': ')[2]}; name its encoding (latin-1, cp1252, ...)"
    return f"{said}; is its delimiter or its quote another one?" if "columns, got" in said else said


def _unique(names: Sequence[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice == [""]:
        raise ValueError("the table has more than one column without a name; name them in its first line")
    if twice:
        raise ValueError(f"the table has more than one column {', '.join(map(repr, twice))}; rename them")


def _chosen(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    _unique(names)
    return [names[known(name, names)] for name in columns]


def _arrow(source: Any, columns: Sequence[str] | None) -> pa.Table:
    if (text := delimited(source)) is not None:
        _unique(text.names)
        names = None if columns is None else _chosen(columns, text.names)
        return text.table(names, pa.dictionary(pa.int32(), pa.string()))
    if isinstance(source, str | os.PathLike):
        return _read_path(os.fspath(source), columns)
    if isinstance(source, pa.Table):
        return source
    if isinstance(source, Mapping):
        return pa.Table.from_arrays([_array(values) for values in source.values()], names=list(map(str, source)))
    if hasattr(source, "iloc"):  # pandas; its own Arrow export would add the index as a column
        arrays = [_array(source.iloc[:, position]) for position in range(source.shape[1])]
        return pa.Table.from_arrays(arrays, names=list(map(str, source.columns)))
    if hasattr(source, "__arrow_c_stream__"):
        return pa.table(source)
    raise ValueError(
        f"a {type(source).__name__} is no table; give a path ({FORMATS}), a pandas or polars data frame, "
        "an Arrow table, a DuckDB relation or a dict of lists"
    )


def _array(values: Any) -> pa.Array:
    """One column; what Arrow finds no common type for becomes text."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        array = pa.array([None if value is None or value != value else str(value) for value in values], pa.string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _read_path(path: str, columns: Sequence[str] | None) -> pa.Table:
    name, _, inside = path.partition("::")
    file = Path(name)
    if not file.is_file():
        raise ValueError(f"there is no file {name!r}")
    if inside and file.suffix.lower() not in DUCKDB:
        raise ValueError(f"{name!r} holds one table; leave out ::{inside}")
    match file.suffix.lower():
        case ".parquet":
            import pyarrow.parquet as pq

            names = pq.read_schema(file).names
            return pq.read_table(file, columns=None if columns is None else _chosen(columns, names))
        case ".arrow" | ".feather":
            import pyarrow.feather

            return pyarrow.feather.read_table(file, memory_map=True)
        case suffix if suffix in DUCKDB:
            return _read_duckdb(file, inside)
    raise ValueError(f"the format of {name!r} is not known; give {FORMATS}")


def _read_duckdb(file: Path, inside: str) -> pa.Table:
    import duckdb

    with duckdb.connect(str(file), read_only=True) as connection:
        tables = [row[0] for row in connection.sql("SELECT table_name FROM information_schema.tables").fetchall()]
        if not inside and len(tables) == 1:
            inside = tables[0]
        if inside not in tables:
            raise ValueError(f"say which table of {str(file)!r} as {file}::TABLE; it has {', '.join(tables) or 'none'}")
        return pa.table(connection.table(f'"{inside}"'))


def as_text(name: str, values: pa.Array) -> pa.Array:
    """Values as Arrow prints them, or ValueError about the column they are of."""
    try:
        return values if values.type == pa.string() else values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"column {name!r} of type {values.type} cannot be read as text; convert it first") from error
