"""Tables in and out: any columnar source becomes dictionary-encoded columns; repaired cells go back into a file."""

import csv
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

import numpy as np
import pyarrow as pa

from agentlab_runner.data_cleaning.table.sources import CSV, as_text, csv_header, known, load
from agentlab_runner.data_cleaning.types import Codes, Table

__all__ = ["Changes", "Nulls", "Values", "decode", "known", "load", "read", "write"]

Nulls = Literal["equal", "distinct"]
Changes = Mapping[str, Mapping[int, str | None]]
"""New texts by column and row; None is NULL."""



class Values(Sequence[str | None]):
    """What the codes of a column stand for: Arrow text, then NULLs. Made into Python strings as they are asked for."""

    def __init__(self, text: pa.Array, nulls: int = 0) -> None:
        self._text = text
        self._nulls = nulls

    def __len__(self) -> int:
        return len(self._text) + self._nulls

    @overload
    def __getitem__(self, index: int) -> str | None: ...

    @overload
    def __getitem__(self, index: slice) -> list[str | None]: ...

    def __getitem__(self, index: int | slice) -> str | list[str | None] | None:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        return None if position >= len(self._text) else self._text[position].as_py()

    def __iter__(self) -> Iterator[str | None]:
        for start in range(0, len(self._text), 1 << 16):
            yield from self._text.slice(start, 1 << 16).to_pylist()
        for _ in range(self._nulls):
            yield None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((len(self._text), self._nulls))

    def __repr__(self) -> str:
        return f"Values({', '.join(map(repr, self[:4]))}{', ...' if len(self) > 4 else ''})"

    def arrow(self) -> pa.Array:
        """[V] Arrow text array."""
        return pa.concat_arrays([self._text, pa.nulls(self._nulls, self._text.type)]) if self._nulls else self._text


def read(source: Any, *, columns: Sequence[str] | None = None, nulls: Nulls = "equal") -> Table:
    """Dictionary-encode a table.

    Values are compared as text: numbers, dates and booleans as Arrow prints them, CSV fields as they are written. An
    unquoted empty CSV field is NULL.

    Args:
        source: a path (.csv, .tsv, .parquet, .arrow, .feather, FILE.duckdb::TABLE), a pandas or polars data frame, an
            Arrow table, a DuckDB relation or a dict of lists.
        columns: the ones to read, in this order; all if not given.
        nulls: whether NULLs of a column are one value ("equal") or every NULL differs from all others ("distinct").

    Raises:
        ValueError: if the source cannot be read as one table, names a column twice or lacks one of `columns`.
    """
    if nulls not in ("equal", "distinct"):
        raise ValueError(f"nulls is {nulls!r}; choose equal or distinct")
    table = load(source, columns)
    names = table.column_names
    # the dictionaries of other sources may list values twice, unused, or in an order of their own
    trusted = isinstance(source, str | os.PathLike) and Path(source).suffix.lower() in CSV
    encoded = []
    for name in names:  # giving up each column of the source before the next is encoded
        encoded.append(_encode(name, table.column(0), nulls, trusted))
        table = table.remove_column(0)
    return Table(tuple(names), tuple(codes for codes, _ in encoded), tuple(values for _, values in encoded))


def decode(table: Table, column: str) -> pa.Array:
    """A column as [N] Arrow text."""
    position = known(column, table.names)
    values = table.values[position]
    text = values.arrow() if isinstance(values, Values) else pa.array(values, pa.string())
    return text.take(pa.array(table.codes[position]))


def write(source: Any, changes: Changes, out: str | os.PathLike[str]) -> None:
    """Write the source with some cells changed, whole or not at all; `out` may be the source itself.

    From CSV to CSV every byte but those of the changed fields stays. Otherwise every column keeps its type, and the
    suffix of `out` says the format.

    Raises:
        ValueError: if a changed column or row is not there, a new text does not fit its column's type, or the format
            of `out` is not known.
    """
    target = Path(out)
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is not None and path.suffix == target.suffix and target.suffix.lower() in CSV:
        with _replacing(target) as file:
            _copy_csv(path, changes, file)
        return
    table = load(source)
    for name, cells in changes.items():
        position = known(name, table.column_names)
        table = table.set_column(position, table.schema.field(position), _changed(name, table.column(position), cells))
    with _replacing(target) as file:
        _write_arrow(table, target, file)


def _encode(name: str, column: pa.ChunkedArray, nulls: Nulls, trusted: bool) -> tuple[Codes, Values]:
    """Codes in order of first appearance; NULL, or the NULLs, after the last value.

    A dictionary is taken as it is only if `trusted`.
    """
    if len(column) > np.iinfo(np.int32).max:
        raise ValueError(f"the table has {len(column)} rows; at most {np.iinfo(np.int32).max} can be encoded")
    foreign = pa.types.is_dictionary(column.type) and not trusted
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_dictionary(column.type):
        # chunk by chunk: Arrow's own way over all chunks copies the growing dictionary for each
        column = pa.chunked_array([chunk.dictionary_encode() for chunk in column.chunks] or [[]])
    encoded = column.unify_dictionaries().combine_chunks()
    if not len(encoded):
        return np.empty(0, np.int32), Values(pa.array([], pa.string()))
    indices, values = encoded.indices, as_text(name, encoded.dictionary)
    if foreign:
        merged = values.dictionary_encode()
        again = merged.indices.take(indices).dictionary_encode()
        indices, values = again.indices, merged.dictionary.take(again.dictionary)
    # by its buffers: Array.to_numpy would import pandas, a quarter of a second and 40 MB
    indices = indices if indices.type == pa.int32() else indices.cast(pa.int32())
    validity, content = indices.buffers()
    codes = np.frombuffer(content, np.int32)[indices.offset : indices.offset + len(indices)]
    missing = indices.null_count
    if not missing:
        return codes, Values(values)
    bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")
    null = bits[indices.offset : indices.offset + len(indices)] == 0
    codes = np.where(null, np.int32(len(values)), codes)
    if nulls == "equal":
        return codes, Values(values, 1)
    codes[null] = np.arange(len(values), len(values) + missing, dtype=np.int32)
    return codes, Values(values, missing)


def _changed(name: str, column: pa.ChunkedArray, cells: Mapping[int, str | None]) -> pa.ChunkedArray:
    _check_rows(cells, len(column))
    mask = np.zeros(len(column), bool)
    rows = sorted(cells)
    mask[rows] = True
    plain = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    try:
        new = pa.array([cells[row] for row in rows], pa.string()).cast(plain)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"a new value of column {name!r} does not fit its type {column.type}: {reason}") from error
    import pyarrow.compute as pc

    return pc.replace_with_mask(column.cast(plain), pa.array(mask), new).cast(column.type)


def _check_rows(rows: Mapping[int, object], count: int) -> None:
    beyond = [row for row in rows if not 0 <= row < count]
    if beyond:
        raise ValueError(f"row {beyond[0]} is to be changed, but the table has rows 0 to {count - 1}")


def _copy_csv(source: Path, changes: Changes, out: BinaryIO) -> None:
    """Copy record by record as bytes stand; in a changed record only the changed fields are written anew."""
    header, delimiter = csv_header(source)
    by_row: dict[int, dict[int, str | None]] = {}
    for name, cells in changes.items():
        for row, value in cells.items():
            by_row.setdefault(row, {})[known(name, header)] = value
    end = re.escape(delimiter)
    field = re.compile(rf'"(?:[^"]|"")*"[^{end}]*|[^{end}]*')
    csv.field_size_limit(sys.maxsize)
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    with open(source, encoding="utf-8", newline="") as stream:
        row = -2  # the header will be row -1
        lines: list[str] = []
        for fields in csv.reader(_noting(stream, lines), delimiter=delimiter):
            record = "".join(lines)
            lines.clear()
            row += bool(fields)  # a blank line is no row
            if row in by_row and fields:
                body = record.rstrip("\r\n")
                raw = _raw_fields(body, field)
                for position, value in by_row.pop(row).items():
                    raw[position] = _csv_text(value, delimiter)
                record = delimiter.join(raw) + record[len(body) :]
            text.write(record)
    text.detach()
    _check_rows(by_row, row + 1)


def _noting(stream: io.TextIOBase, lines: list[str]) -> Iterator[str]:
    """The stream's lines, each also noted in `lines`."""
    for line in stream:
        lines.append(line)
        yield line


def _raw_fields(record: str, field: re.Pattern[str]) -> list[str]:
    fields, position = [], 0
    while True:
        match = field.match(record, position)
        assert match is not None  # the pattern matches the empty text
        fields.append(match.group())
        position = match.end() + 1
        if position > len(record):
            return fields


def _csv_text(value: str | None, delimiter: str) -> str:
    if value is None:
        return ""
    if value == "" or any(char in value for char in f'"\r\n{delimiter}'):
        return '"' + value.replace('"', '""') + '"'
    return value


def _write_arrow(table: pa.Table, target: Path, file: BinaryIO) -> None:
    match target.suffix.lower():
        case ".csv" | ".tsv":
            import pyarrow.csv

            delimiter = "," if target.suffix.lower() == ".csv" else "\t"
            plain = [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in table.columns]
            table = pa.Table.from_arrays(plain, names=table.column_names)
            pyarrow.csv.write_csv(table, file, pyarrow.csv.WriteOptions(delimiter=delimiter))
        case ".parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, file)
        case ".arrow" | ".feather":
            import pyarrow.feather

            pyarrow.feather.write_feather(table, file)
        case _:
            raise ValueError(f"cannot write {str(target)!r}; end its name in .csv, .tsv, .parquet, .arrow or .feather")


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the body is done; if the body raises, nothing has changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
