"""From a table and its bound ontologies to what the kernels compare: right-hand codes and the concepts of each."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data_cleaning.partitions import Columns
from data_cleaning.types import Codes, Kind, NameLists, Table


class Names(Protocol):
    """An ontology, as far as discovery and checking know it."""

    def names(self, column: str, values: Sequence[str | None], theta: int) -> NameLists | None:
        """names_theta of each value; None if no concepts are bound to the column."""


def check_kind(kind: Kind, theta: int) -> None:
    """
    Raises:
        ValueError: if the kind is not known, theta is negative or a synonym dependency is given a theta.
    """
    if kind not in ("synonym", "inheritance"):
        raise ValueError(f"kind is {kind!r}; choose synonym or inheritance")
    if theta < 0:
        raise ValueError(f"theta is {theta}; it counts is-a steps and should be 0 or more")
    if kind == "synonym" and theta:
        raise ValueError(f"theta is {theta}, but a synonym dependency takes no is-a steps; use kind='inheritance'")


def bind(table: Table, ontology: Names | None, theta: int) -> list[NameLists | None]:
    """The name lists of every column."""
    if ontology is None:
        return [None] * len(table.names)
    return [ontology.names(name, values, theta) for name, values in zip(table.names, table.values, strict=True)]


def columns_of(table: Table, names: Sequence[NameLists | None], order: Sequence[int]) -> Columns:
    """The columns of a table in another order, with right-hand codes that are equal for values of equal names."""
    bound = [position for position in order if names[position] is not None]
    codes = np.empty((len(order) + len(bound), table.rows), np.int32)
    for row, position in enumerate(order):
        codes[row] = table.codes[position]
    right = np.arange(len(order))
    base = np.full(len(order), -1)
    offsets: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    classes: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    lists = entries = 0
    for row, position in enumerate(order):
        given = names[position]
        if given is None:
            continue
        merged, merged_lists = _merge_equal(given)
        right[row] = len(order) + bound.index(position)
        base[row] = lists
        np.take(merged, table.codes[position], out=codes[right[row]])
        offsets.append(merged_lists.offsets.astype(np.int64) + entries)
        classes.append(merged_lists.classes)
        lists += len(merged_lists.offsets)
        entries += len(merged_lists.classes)
    return Columns(codes, right, base, np.concatenate(offsets), np.concatenate(classes))


def _merge_equal(names: NameLists) -> tuple[Codes, NameLists]:
    """One code for all values with the same concepts; a value without any keeps a code of its own.

    So rows that differ only by the spelling of an unambiguous concept compare equal, as fast as a plain dependency.
    """
    lengths = np.diff(names.offsets)
    merged = np.empty(len(lengths), np.int32)
    codes: dict[bytes, int] = {}
    kept: list[int] = []
    for value in range(len(lengths)):
        key = names.classes[names.offsets[value] : names.offsets[value + 1]].tobytes() or b"value %d" % value
        code = codes.setdefault(key, len(codes))
        if code == len(kept):
            kept.append(value)
        merged[value] = code
    offsets = np.zeros(len(kept) + 1, np.int32)
    np.cumsum(lengths[kept], out=offsets[1:])
    pieces = [names.classes[names.offsets[value] : names.offsets[value + 1]] for value in kept if lengths[value]]
    return merged, NameLists(offsets, np.concatenate(pieces) if pieces else np.empty(0, np.int32))
