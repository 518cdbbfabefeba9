"""Tables for the benchmarks of data cleaning: planted dependencies, skewed and even columns, one near key."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.types import NameLists, Table

DIVERSITY = (10_000, 2_000, 500, 100, 20, 8)
"""Distinct values of the columns that depend on nothing, in turn."""
BOUND = ("c3", "c5", "c7", "c9")
"""Columns that depend on others, and have concepts in `spelled` tables."""


def planted(rows: int, columns: int, seed: int = 0) -> dict[str, NDArray[np.int64]]:
    """Ten columns and again ten: a near key, five independent ones, four that depend on one or two of these."""
    rng = np.random.default_rng(seed)
    made: dict[str, NDArray[np.int64]] = {"id": rng.integers(0, 5 * rows, rows)}
    free: list[str] = []
    for number in range(1, columns):
        name = f"c{number}"
        if number % 10 in (3, 5, 7, 9):
            key = made[free[-1]] * 1_000_003 + (made[free[-2]] if number % 4 == 1 else 0)
            made[name] = key * 2_654_435_761 % 1_000_000_007 % (30 * (number % 10))
        else:
            size = DIVERSITY[len(free) % len(DIVERSITY)]
            made[name] = rng.zipf(1.3, rows) % size if len(free) % 2 == 0 else rng.integers(0, size, rows)
            free.append(name)
    return made


def spelled(rows: int) -> dict[str, NDArray[np.int64]]:
    """The ten columns, each value of those in `BOUND` in one of three spellings."""
    rng = np.random.default_rng(1)
    made = planted(rows, 10)
    return made | {name: made[name] * 3 + rng.integers(0, 3, rows) for name in BOUND}


def write_csv(rows: int, columns: int, path: Path) -> None:
    """As text that no reader takes for numbers."""
    texts = {name: pa.array([f"{name}_{value}" for value in values]) for name, values in planted(rows, columns).items()}
    pyarrow.csv.write_csv(pa.table(texts), path, pyarrow.csv.WriteOptions(quoting_style="none"))


def encoded(columns: dict[str, NDArray[np.int64]]) -> Table:
    """The same without a file."""
    pairs = [np.unique(values, return_inverse=True) for values in columns.values()]
    return Table(
        tuple(columns),
        tuple(codes.astype(np.int32) for _, codes in pairs),
        tuple(tuple(map(str, values)) for values, _ in pairs),
    )


class Spellings:
    """An ontology by arithmetic: the values 3 i, 3 i + 1 and 3 i + 2 of the named columns are one concept."""

    def __init__(self, *columns: str) -> None:
        self._columns = columns

    def names(self, column: str, values: Sequence[str | None], theta: int) -> NameLists | None:
        if column not in self._columns:
            return None
        # int(str(None)) refuses a missing value, of which these tables have none
        classes = np.array([int(str(value)) // 3 for value in values], np.int32)
        return NameLists(np.arange(len(classes) + 1, dtype=np.int32), classes)
