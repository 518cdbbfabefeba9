"""The equivalence classes of all dependencies with one right-hand column, summed up by value.

A class is a *node*; tuples that agree in all their classes and in their value are a *group*. Everything after this file
works on nodes and groups, whose number is that of distinct things and not of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.repairs.readings import Bools, Ints, Readings
from agentlab_runner.data_cleaning.table.tables import Missing, lacking
from agentlab_runner.data_cleaning.types import OFD, Table


@dataclass(frozen=True, slots=True)
class Cells:
    """How often each value occurs in each class; rows sorted by node, then value."""

    offsets: Ints
    """[X + 1] into the other two."""
    value: Ints
    count: Ints

    @property
    def node(self) -> Ints:
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@dataclass(frozen=True, slots=True)
class Cover:
    """How much of each class each sense covers, those that cover any; rows sorted by node, then sense."""

    node: Ints
    sense: Ints
    tuples: Ints
    values: Ints
    """Distinct values covered."""


@dataclass(frozen=True)
class Classes:
    """What has to be known to repair one column: only classes that are violated, or hang together with one that is."""

    table: Table
    ofds: tuple[OFD, ...]
    readings: Readings
    members: Ints
    """[G, M], the node of each group under each dependency; -1 where its class there is a single tuple."""
    value: Ints
    """[G], value code."""
    count: Ints
    """[G], tuples."""
    group: Ints
    """[N], the group of each row; -1 where nothing is to be decided."""
    owner: Ints
    """[X], which dependency a node is a class of."""
    size: Ints
    """[X], tuples."""
    example: Ints
    """[X], the first row of each class."""
    cells: Cells
    cover: Cover
    frequency: Ints
    """[V], how often each value stands in the whole column ..."""
    grouped: Ints
    """... and in rows that share a class with another one."""

    @classmethod
    def build(
        cls, table: Table, ofds: Sequence[OFD], ontology: Ontology, *, nulls: Missing = "ignore",
        fill_missing: bool = False,
    ) -> Self:
        """The classes of `ofds`, which have one right-hand column.

        Args:
            nulls: a row that lacks a left-hand cell is a class of its own, unless `equal`.
            fill_missing: let rows without a right-hand cell belong to classes; otherwise they are left alone.
        """
        at = table.names.index(ofds[0].rhs)
        readings = Readings(ofds[0].rhs, table.values[at], ontology, {ofd.theta for ofd in ofds})
        # whatever codes NULLs have on the right, they are one value there
        merged = np.arange(len(readings.null))
        merged[readings.null] = np.flatnonzero(readings.null)[:1]
        codes = merged[table.codes[at]].astype(np.int64)
        ids = [_class_ids(table, ofd, nulls, fill_missing) for ofd in ofds]
        kept = _rows_at_stake(ids, codes, ofds, readings)
        owner, size, example, nodes = [], [], [], []
        first = 0
        for position, own in enumerate(ids):
            there, number = np.unique(own[kept], return_inverse=True)
            sizes = np.bincount(number, minlength=len(there))
            renumber = np.where(sizes > 1, first + np.cumsum(sizes > 1) - 1, -1)
            nodes.append(renumber[number])
            first_row = np.full(len(there), len(kept))
            first_row[number[::-1]] = kept[::-1]
            owner.append(np.full((sizes > 1).sum(), position))
            size.append(sizes[sizes > 1])
            example.append(first_row[sizes > 1])
            first += len(owner[-1])
        members, value, count, group = _groups(nodes, codes[kept])
        row_group = np.full(len(codes), -1)
        row_group[kept] = group
        owners = np.concatenate(owner)
        sizes = np.concatenate(size)
        cells = _cells(members, value, count, len(owners), len(readings.texts))
        return cls(
            table, tuple(ofds), readings, members, value, count, row_group, owners, sizes, np.concatenate(example),
            cells, _cover(cells, owners, sizes, ofds, readings), np.bincount(codes, minlength=len(readings.texts)),
            np.bincount(codes[_in_company(ids)], minlength=len(readings.texts)),
        )  # fmt: skip

    def key(self, node: int) -> tuple[str | None, ...]:
        """The left-hand values that the tuples of a class agree on."""
        row, table = self.example[node], self.table
        places = map(table.names.index, self.ofds[self.owner[node]].lhs)
        return tuple(table.values[at][int(table.codes[at][row])] for at in places)

    def tuples(self) -> list[NDArray[np.intp]]:
        """[X], the rows of each class, ascending."""
        members = np.vstack((self.members, np.full(self.members.shape[1], -1)))  # the last for rows of no group, -1
        node = members[self.group].ravel()
        order = np.argsort(node, kind="stable")
        begins = np.searchsorted(node[order], np.arange(len(self.size) + 1))
        return np.split(order // self.members.shape[1], begins)[1:-1]

    def theta(self, nodes: Ints) -> Ints:
        return np.array([ofd.theta for ofd in self.ofds])[self.owner[nodes]]

    def covers(self, nodes: Ints, values: Ints, senses: Ints) -> Bools:
        """Whether each value, standing in the class beside it, is read in the sense beside that."""
        nodes, values, senses = np.broadcast_arrays(nodes, values, senses)
        found = np.zeros(nodes.shape, dtype=bool)
        theta = self.theta(nodes)
        for one in np.unique(theta):
            mine = theta == one
            found[mine] = self.readings.covers(int(one), values[mine], senses[mine])
        return found

    def covered(self, nodes: Ints, senses: Ints) -> Ints:
        """How many tuples of each class the sense beside it covers."""
        cover, width = self.cover, self.readings.senses
        keys, wanted = cover.node * width + cover.sense, nodes * width + senses
        at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where(keys[at] == wanted, cover.tuples[at], 0)


def class_ids(table: Table, lhs: Sequence[str]) -> Ints:
    """[N], equal for rows that agree on `lhs`; 0 .. number of classes - 1."""
    ids: Ints = np.zeros(table.rows, dtype=np.int64)
    for position, name in enumerate(lhs):
        codes = table.codes[table.names.index(name)].astype(np.int64)
        keys = ids * (int(codes.max(initial=0)) + 1) + codes
        ids = keys if position == 0 else np.unique(keys, return_inverse=True)[1]
    return ids


def _class_ids(table: Table, ofd: OFD, nulls: Missing, fill_missing: bool) -> Ints:
    """`class_ids`, with an id of its own for every row that a missing cell keeps out."""
    ids = class_ids(table, ofd.lhs)
    apart = np.zeros(table.rows, dtype=bool) if nulls == "equal" else lacking(table, ofd.lhs)
    if not fill_missing:
        apart |= lacking(table, (ofd.rhs,))
    if apart.any():
        ids = ids.copy()
        ids[apart] = int(ids.max()) + 1 + np.arange(apart.sum())
        ids = np.unique(ids, return_inverse=True)[1]
    return ids


def _in_company(ids: Sequence[Ints]) -> Bools:
    """[N], rows that stand in a class of two or more."""
    found = np.zeros(len(ids[0]), dtype=bool)
    for own in ids:
        found |= (np.bincount(own, minlength=1) > 1)[own]
    return found


def sum_by(keys: Ints, *weights: Ints) -> tuple[Ints, ...]:
    """Distinct keys, ascending, and the sum of each of `weights` over them."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if len(keys) else order
    sums = [np.add.reduceat(weight[order], starts) if len(keys) else weight for weight in weights]
    return ordered[starts], *sums


def spans(starts: Ints | NDArray[np.int32], lengths: Ints | NDArray[np.int32]) -> Ints:
    """start, start + 1, ..., start + length - 1 of every span, one after the other."""
    first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    return first.astype(np.int64) + np.arange(len(first))


def _rows_at_stake(ids: Sequence[Ints], codes: Ints, ofds: Sequence[OFD], readings: Readings) -> NDArray[np.intp]:
    """Rows of violated classes and of the classes that share tuples with them, directly or through others."""
    violated = [_violated(own, codes, ofd, readings) for own, ofd in zip(ids, ofds, strict=True)]
    if len(ids) == 1:
        return np.flatnonzero(violated[0][ids[0]])
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    nodes, first = [], 0
    for own in ids:
        single = np.bincount(own) == 1  # a class of one tuple ties nothing together, so it gets no node
        nodes.append(np.where(single[own], -1, own + first))
        first += len(single)
    hub = np.maximum.reduce(nodes)
    ends = [(hub[both], node[both]) for node in nodes if (both := (node >= 0) & (hub >= 0)) is not None]
    left, right = (np.concatenate(end) for end in zip(*ends, strict=True))
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(first, first))
    component = connected_components(graph, directed=False)[1]
    wanted = np.zeros(first, dtype=bool)
    wanted[component[np.concatenate(violated)]] = True
    return np.flatnonzero((hub >= 0) & wanted[component[hub]])


def _violated(ids: Ints, codes: Ints, ofd: OFD, readings: Readings) -> Bools:
    """Whether each class has no sense that covers all of it."""
    count = int(ids.max(initial=-1)) + 1
    some = np.zeros(count, dtype=np.int64)
    some[ids] = codes
    mixed = np.zeros(count, dtype=bool)
    mixed[ids[codes != some[ids]]] = True
    rows = mixed[ids]
    nodes = ids[rows]
    members, value, number, _ = _groups([nodes], codes[rows])
    cells = _cells(members, value, number, count, len(readings.texts))
    sizes = np.bincount(nodes, minlength=count)
    cover = _cover(cells, np.zeros(count, dtype=np.int64), sizes, [ofd], readings)
    mixed[cover.node[cover.tuples == sizes[cover.node]]] = False
    return mixed


def _groups(nodes: Sequence[Ints], codes: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """(members [G, M], value [G], count [G], group of each row)."""
    keys = codes
    for own in nodes:
        keys = np.unique(keys, return_inverse=True)[1] if len(nodes) > 1 else keys
        keys = (own + 1) * (int(keys.max(initial=0)) + 1) + keys
    _, first, group, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return np.stack([own[first] for own in nodes], axis=1), codes[first], count, group


def _cells(members: Ints, value: Ints, count: Ints, nodes: int, values: int) -> Cells:
    group, member = np.nonzero(members >= 0)
    keys, total = sum_by(members[group, member] * values + value[group], count[group])
    return Cells(np.searchsorted(keys, np.arange(nodes + 1) * values), keys % max(1, values), total)


def _cover(cells: Cells, owner: Ints, size: Ints, ofds: Sequence[OFD], readings: Readings) -> Cover:
    node = cells.node
    width = readings.senses
    # NULL stands for itself only where nothing else stands: a repair may fill it in, but never writes it
    literal = ~readings.null[cells.value] | (cells.count == size[node])
    keys = [node[literal] * width + readings.concepts + cells.value[literal]]
    counts = [cells.count[literal]]
    for position, ofd in enumerate(ofds):
        mine = owner[node] == position
        names = readings.names(ofd.theta)
        lengths = np.diff(names.offsets)[cells.value[mine]]
        at = spans(names.offsets[cells.value[mine]], lengths)
        keys.append(np.repeat(node[mine], lengths) * width + names.classes[at])
        counts.append(np.repeat(cells.count[mine], lengths))
    every = np.concatenate(keys)
    found, tuples, values = sum_by(every, np.concatenate(counts), np.ones(len(every), dtype=np.int64))
    return Cover(found // max(1, width), found % max(1, width), tuples, values)
