"""What the kernels see of a table: codes in the order of the walk, names in compressed rows, room to work in."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.table.sources import known
from agentlab_runner.data_cleaning.types import OFD, Codes, Kind, NameLists, Table


class Names(Protocol):
    """An ontology, as far as discovery and checking know it."""

    def names(self, column: str, values: Sequence[str | None], theta: int) -> NameLists | None:
        """names_theta of each value; None if no concepts are bound to the column."""


class Columns(NamedTuple):
    """A table as the kernels see it."""

    codes: NDArray[np.int32]
    """[n + bound, N]; row i < n holds column i, the rest hold bound columns with equal codes for equal names."""
    right: NDArray[np.int64]
    """[n], the row of `codes` to read where column i is on the right side."""
    base: NDArray[np.int64]
    """[n], where the name lists of column i begin in `offsets`; -1 for a column without ontology."""
    offsets: NDArray[np.int64]
    """Code c of bound column i belongs to classes[offsets[base[i] + c] : offsets[base[i] + c + 1]], ascending."""
    classes: NDArray[np.int32]
    diversity: int
    """Codes are below this ..."""
    concepts: int
    """... and concepts below this."""


class Scratch(NamedTuple):
    """Room for one thread; every kernel leaves `counts` zeroed."""

    rows: NDArray[np.int32]
    """[depth + 1, N], the partition of each prefix of the node in hand; row 0 is the whole table."""
    offsets: NDArray[np.int32]
    """[depth + 1, N // 2 + 2]."""
    counts: NDArray[np.int32]
    """By concept from the left, by code from the right."""
    first: NDArray[np.int32]
    """By code, the first row of a class that carries it ..."""
    stamp: NDArray[np.int64]
    """... if this is the class's serial number; 0 at the start."""
    serial: NDArray[np.int64]
    """[1], the last serial number given."""
    codes: NDArray[np.int32]
    """[N]."""

    @classmethod
    def of(cls, columns: Columns, depth: int, step: int = 1) -> "Scratch":
        """Room for partitions by up to `depth` columns of every `step`-th row."""
        chosen = np.arange(0, columns.codes.shape[1], step, dtype=np.int32)
        rows = len(chosen)
        scratch = cls(
            rows=np.empty((depth + 1, rows), np.int32),
            offsets=np.empty((depth + 1, rows // 2 + 2), np.int32),
            counts=np.zeros(columns.concepts + columns.diversity, np.int32),
            first=np.empty(columns.diversity, np.int32),
            stamp=np.zeros(columns.diversity, np.int64),
            serial=np.zeros(1, np.int64),
            codes=np.empty(rows, np.int32),
        )
        scratch.rows[0] = chosen
        scratch.offsets[0, :2] = 0, rows
        return scratch


def columns_of(ofd: OFD, names: Sequence[str]) -> list[int]:
    """Where the columns of a dependency stand, the right-hand one last.

    Raises:
        ValueError: if one is not there or on both sides, or kind and theta do not go together.
    """
    check_kind(ofd.kind, ofd.theta)
    if ofd.rhs in ofd.lhs:
        raise ValueError(f"{str(ofd)!r} has {ofd.rhs!r} on both sides and so always holds; leave it out on the left")
    return [known(name, names) for name in (*dict.fromkeys(ofd.lhs), ofd.rhs)]


def check_kind(kind: str, theta: int) -> None:
    """
    Raises:
        ValueError: if the kind is not known, theta is negative or a synonym dependency is given a theta.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; choose {' or '.join(get_args(Kind))}")
    if theta < 0:
        raise ValueError(f"theta is {theta}; it counts is-a steps and should be 0 or more")
    if kind == "synonym" and theta:
        raise ValueError(f"theta is {theta}, but a synonym dependency takes no is-a steps; use kind inheritance")


def bind(table: Table, ontology: Names | None, theta: int) -> list[NameLists | None]:
    """The name lists of every column."""
    if ontology is None:
        return [None] * len(table.names)
    return [ontology.names(name, values, theta) for name, values in zip(table.names, table.values, strict=True)]


def arrange(table: Table, names: Sequence[NameLists | None], order: Sequence[int]) -> Columns:
    """The columns of a table in another order, with right-hand codes that are equal for values of equal names."""
    bound = [position for position in order if names[position] is not None]
    codes = np.empty((len(order) + len(bound), table.rows), np.int32)
    right = np.arange(len(order))
    base = np.full(len(order), -1)
    offsets: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    classes: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    lists = entries = 0
    for row, position in enumerate(order):
        codes[row] = table.codes[position]
        given = names[position]
        if given is None:
            continue
        merged, merged_lists = _merge_equal(given)
        right[row] = len(order) + bound.index(position)
        base[row] = lists
        codes[right[row]] = merged[codes[row]]
        offsets.append(merged_lists.offsets.astype(np.int64) + entries)
        classes.append(merged_lists.classes)
        lists += len(merged_lists.offsets)
        entries += len(merged_lists.classes)
    every_class = np.concatenate(classes)
    diversity, concepts = int(codes.max(initial=-1)) + 1, int(every_class.max(initial=-1)) + 1
    return Columns(codes, right, base, np.concatenate(offsets), every_class, diversity, concepts)


def _merge_equal(names: NameLists) -> tuple[Codes, NameLists]:
    """One code for all values with the same concepts; a value without any keeps a code of its own.

    So rows that differ only by the spelling of an unambiguous concept compare equal, as fast as a plain dependency.
    """
    lengths = np.diff(names.offsets)
    merged = np.empty(len(lengths), np.int32)
    single, several, none = lengths == 1, np.flatnonzero(lengths > 1), lengths == 0
    classes, merged[single] = np.unique(names.classes[names.offsets[:-1][single]], return_inverse=True)
    sets: dict[bytes, tuple[int, NDArray[np.int32]]] = {}
    for value in several.tolist():
        listed = names.classes[names.offsets[value] : names.offsets[value + 1]]
        merged[value], _ = sets.setdefault(listed.tobytes(), (len(classes) + len(sets), listed))
    merged[none] = len(classes) + len(sets) + np.arange(none.sum())
    lists = [listed for _, listed in sets.values()]
    sizes = np.concatenate(([0], np.ones(len(classes)), [len(one) for one in lists], np.zeros(none.sum())))
    return merged, NameLists(np.cumsum(sizes).astype(np.int32), np.concatenate([classes, *lists]))
