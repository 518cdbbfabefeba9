"""Tables in and out: any columnar source becomes dictionary-encoded columns; repaired cells go back into a file."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.table.sources import as_text, delimited, known, load
from agentlab_runner.data_cleaning.table.writing import Changes, write
from agentlab_runner.data_cleaning.types import Codes, Table

__all__ = ["Changes", "Missing", "Nulls", "Values", "decode", "known", "load", "read", "write"]

Nulls = Literal["equal", "distinct"]
Missing = Literal["ignore", "equal", "distinct"]
"""What a missing cell means: its row is compared with none, all are one value, or each differs from all."""


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

    @property
    def nulls(self) -> int:
        """How many of the last are NULL."""
        return self._nulls

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
    trusted = delimited(source) is not None
    left = table.columns[::-1]
    del table  # so that each column of the source is given up before the next is encoded
    encoded = [_encode(name, left.pop(), nulls, trusted) for name in names]
    return Table(tuple(names), tuple(codes for codes, _ in encoded), tuple(values for _, values in encoded))


def is_null(values: Sequence[str | None]) -> NDArray[np.bool_]:
    """[V], which codes of a column stand for NULL."""
    if isinstance(values, Values):
        return np.arange(len(values)) >= len(values) - values.nulls
    return np.array([value is None for value in values], dtype=bool)


def lacking(table: Table, columns: Sequence[str]) -> NDArray[np.bool_]:
    """[N], rows in which one of some columns is NULL."""
    found = np.zeros(table.rows, dtype=bool)
    for position in map(table.names.index, columns):
        null = is_null(table.values[position])
        if null.any():
            found |= null[table.codes[position]]
    return found


def decode(table: Table, column: str) -> pa.Array:
    """A column as [N] Arrow text."""
    position = known(column, table.names)
    values = table.values[position]
    text = values.arrow() if isinstance(values, Values) else pa.array(values, pa.string())
    return text.take(pa.array(table.codes[position]))


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
