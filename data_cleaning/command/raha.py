"""Raha's layout: a folder with `dirty.csv` and, where the truth is known, a `clean.csv` of the same shape."""

from collections.abc import Collection, Mapping
from pathlib import Path

from agentlab_runner.data_cleaning.repairs.score import Score, score
from agentlab_runner.data_cleaning.table.tables import decode, read
from agentlab_runner.data_cleaning.types import Table

DIRTY, CLEAN = "dirty.csv", "clean.csv"


def compare(
    truth: Path, dirty: Table, changes: Mapping[str, Mapping[int, str | None]], columns: Collection[str]
) -> Score:
    """How a repair stands to the truth: a change is right where it writes what stands there.

    Args:
        truth: path of the clean table.
        dirty: the table that was repaired.
        changes: new texts by column and row.
        columns: the ones that were to be repaired; only their errors count.

    Raises:
        ValueError: if the clean table is of another shape.
    """
    clean = read(truth, columns=list(dirty.names))
    if clean.rows != dirty.rows:
        raise ValueError(f"{truth} has {clean.rows} rows, but the table to be repaired has {dirty.rows}")
    correct = wanted = 0
    for column in columns:
        right, had = (decode(table, column).to_pylist() for table in (clean, dirty))
        wanted += sum(new != old for new, old in zip(right, had, strict=True))
        correct += sum(right[row] == text and had[row] != text for row, text in changes.get(column, {}).items())
    return score(correct, sum(map(len, changes.values())), wanted)
