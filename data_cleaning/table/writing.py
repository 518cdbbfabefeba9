"""Repaired cells go back into a file, which is read again before it takes its place."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from agentlab_runner.data_cleaning.table.delimited import ENDINGS, Delimited
from agentlab_runner.data_cleaning.table.replacing import replacing
from agentlab_runner.data_cleaning.table.sources import as_text, delimited, known, load

Changes = Mapping[str, Mapping[int, str | None]]
"""New texts by column and row; None is NULL."""


class NotAsMeant(RuntimeError):
    """A file that holds something else than was to be written; it has been thrown away."""


def write(source: Any, changes: Changes, out: str | os.PathLike[str], was: Changes | None = None) -> None:
    """Write the source with some cells changed, whole or not at all; `out` may be the source itself.

    From CSV to CSV every byte but those of the changed fields stays. Otherwise every column keeps its type, and the
    suffix of `out` says the format. What was written is read again and compared cell by cell before it takes its place.

    Args:
        was: what stood in the changed cells when that was decided.

    Raises:
        ValueError: if a changed column or row is not there, a cell holds something else than it did, a new text does
            not fit its column's type, the format of `out` is not known, or see `replacing`.
        NotAsMeant: if what was written reads otherwise than it should.
    """
    target = Path(out)
    meant = load(source)
    for name, cells in changes.items():
        position = known(name, meant.column_names)
        column = meant.column(position)
        _check_rows(cells, len(column))
        _check_old(name, column, (was or {}).get(name, {}))
        meant = meant.set_column(position, meant.schema.field(position), _changed(name, column, cells))
    text = delimited(source)
    alike = text is not None and text.path.suffix.lower() == target.suffix.lower()
    with replacing(target) as (file, place):
        again: Any = place
        if text is not None and alike:
            text.copy(_by_row(changes, text), file)
            again = replace(text, path=place)
        else:
            again = _write_arrow(meant, target, file, place)
        file.flush()
        _compare(meant, load(again), target)


def _by_row(changes: Changes, text: Delimited) -> dict[int, dict[int, str | None]]:
    found: dict[int, dict[int, str | None]] = {}
    for name, cells in changes.items():
        position = known(name, text.names)
        for row, value in cells.items():
            found.setdefault(row, {})[position] = value
    return found


def _check_old(name: str, column: pa.ChunkedArray, was: Mapping[int, str | None]) -> None:
    for row, text in was.items():
        there = column[row].cast(pa.string()).as_py() if column[row].is_valid else None
        if there != text:
            raise ValueError(
                f"row {row} of column {name!r} is {there!r} now and was {text!r} when it was read; start again"
            )


def _check_rows(rows: Mapping[int, object], count: int) -> None:
    beyond = [row for row in rows if not 0 <= row < count]
    if beyond:
        raise ValueError(f"row {beyond[0]} is to be changed, but the table has rows 0 to {count - 1}")


def _changed(name: str, column: pa.ChunkedArray, cells: Mapping[int, str | None]) -> pa.ChunkedArray:
    mask = np.zeros(len(column), bool)
    rows = sorted(cells)
    mask[rows] = True
    plain = _plain(column.type)
    try:
        new = pa.array([cells[row] for row in rows], pa.string()).cast(plain)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"a new value of column {name!r} does not fit its type {column.type}: {reason}") from error
    import pyarrow.compute as pc

    return pc.replace_with_mask(column.cast(plain), pa.array(mask), new).cast(column.type)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _compare(meant: pa.Table, found: pa.Table, target: Path) -> None:
    """
    Raises:
        NotAsMeant: at the first cell that differs.
    """
    if found.column_names != meant.column_names or len(found) != len(meant):
        raise NotAsMeant(
            f"{target} was not written: read again it has {len(found)} rows of {found.column_names}, "
            f"but {len(meant)} rows of {meant.column_names} were meant"
        )
    for name, wanted, there in zip(meant.column_names, meant.columns, found.columns, strict=True):
        kind = _plain(wanted.type)
        there = there.cast(_plain(there.type))
        there = there if there.type == kind else there.cast(kind)
        wanted = wanted.cast(kind)
        if there.equals(wanted):
            continue
        texts = [as_text(name, column.combine_chunks()).to_pylist() for column in (wanted, there)]
        for row, (a, b) in enumerate(zip(*texts, strict=True)):
            if a != b:
                raise NotAsMeant(
                    f"{target} was not written: read again, row {row} of column {name!r} is {b!r}, but {a!r} was meant"
                )


def _write_arrow(table: pa.Table, target: Path, file: BinaryIO, place: Path) -> Any:
    """Write the table, and say how it is to be read again."""
    match target.suffix.lower():
        case suffix if suffix in ENDINGS:
            import pyarrow.csv

            delimiter = ENDINGS[suffix] or ","
            plain = [column.cast(_plain(column.type)) for column in table.columns]
            table = pa.Table.from_arrays(plain, names=table.column_names)
            pyarrow.csv.write_csv(table, file, pyarrow.csv.WriteOptions(delimiter=delimiter))
            return Delimited(place, delimiter, '"', "utf-8", False, ("",))
        case ".parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, file)
        case ".arrow" | ".feather":
            import pyarrow.feather

            pyarrow.feather.write_feather(table, file)
        case _:
            raise ValueError(f"cannot write {str(target)!r}; end its name in .csv, .tsv, .parquet, .arrow or .feather")
    return place
