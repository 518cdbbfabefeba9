"""Reasoning about dependencies, and checking one against a table with its reasons."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.discovery.strength import Judged, broken_by_chance, judge, partition, permuted
from agentlab_runner.data_cleaning.table.columns import Columns, Names, Scratch, arrange, columns_of
from agentlab_runner.data_cleaning.table.tables import Missing, lacking, read
from agentlab_runner.data_cleaning.types import OFD, NameLists, Table

Ints = NDArray[np.int32]


def closure(attributes: Iterable[str], ofds: Iterable[OFD], theta: int = 0) -> frozenset[str]:
    """X+: what X determines under the dependencies that take at most theta is-a steps.

    One pass over their left sides inside X itself: A -> B and B -> C do not give A -> C (spec 2.3).
    """
    start = frozenset(attributes)
    return start | {ofd.rhs for ofd in ofds if ofd.theta <= theta and start.issuperset(ofd.lhs)}


def implies(ofds: Iterable[OFD], ofd: OFD) -> bool:
    """Whether a dependency follows from others; fewer is-a steps imply more."""
    return ofd.rhs in closure(ofd.lhs, ofds, ofd.theta)


def minimal_cover(ofds: Iterable[OFD]) -> list[OFD]:
    """The one smallest set that implies the same: those that do not follow from another, in order, none twice."""
    kept: list[OFD] = []
    for ofd in sorted(set(ofds), key=lambda one: (len(set(one.lhs)), one.theta, one)):
        if not implies(kept, ofd):
            kept.append(ofd)
    return sorted(kept)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value within a class."""

    value: str | None
    rows: Ints
    """Where it stands, ascending."""
    covered: bool
    """Whether the class's best name is one of its names."""


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Tuples that agree on the left side and have unequal values on the right."""

    lhs: tuple[str | None, ...]
    concept: int | None
    """The concept that covers most tuples, by its position in the column's hierarchy; None if it is a single value."""
    readings: tuple[Reading, ...]
    """The values, most frequent first."""
    alternatives: tuple[tuple[int, int], ...]
    """(concept, tuples) of the other concepts that cover some of it, those with most tuples first."""

    @property
    def size(self) -> int:
        """Tuples."""
        return sum(len(one.rows) for one in self.readings)

    @property
    def covered(self) -> int:
        """Tuples that the best name covers."""
        return sum(len(one.rows) for one in self.readings if one.covered)

    @property
    def outliers(self) -> Ints:
        """Rows that the best name does not cover."""
        return np.sort(np.concatenate([one.rows[:0] if one.covered else one.rows for one in self.readings]))


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """How a dependency fares on a table."""

    ofd: OFD
    """With its support, and its strength if names add something."""
    rows: int
    classes: int
    """Of two tuples at least."""
    constant: int
    """Of these, with equal values."""
    by_name: int
    """Of these, with unequal values that have a common concept: a plain functional dependency would flag them."""
    violated: int
    deficit: int
    """Tuples to drop so that it holds: those that the best names do not cover."""
    flagged: int
    """Tuples in violated classes."""
    flagged_without_names: int
    """Tuples in classes of unequal values."""
    incomplete: int
    """Rows beside `rows` that lack a cell of the dependency and so were compared with none."""
    _table: Table
    _names: NameLists | None
    _row_ids: Ints | None
    _members: Ints
    """Rows of the classes, one class after the other."""
    _judged: Judged
    """With names that are a concept or -1 - code of a value."""

    @property
    def holds(self) -> bool:
        """On every tuple; so it does, vacuously, if there are none."""
        return self.violated == 0

    def violations(self) -> Iterator[ClassReport]:
        """The violated classes, those with most outliers first."""
        missing = self._judged.sizes - self._judged.best
        order = np.lexsort((self._first(), -missing))
        return (self._report(number) for number in order[missing[order] > 0])

    def synonyms(self) -> Iterator[ClassReport]:
        """Classes of unequal values that a concept covers, the largest first."""
        judged = self._judged
        order = np.lexsort((self._first(), -judged.sizes))
        return (self._report(number) for number in order[(judged.best == judged.sizes)[order]])

    def _first(self) -> Ints:
        return self._members[self._judged.begins]

    def _report(self, number: int) -> ClassReport:
        table, rhs = self._table, self._table.names.index(self.ofd.rhs)
        rows = self._members[self._judged.begins[number] :][: self._judged.sizes[number]]
        name = int(self._judged.name[number])
        codes = table.codes[rhs][rows]
        values, first, counts = np.unique(codes, return_index=True, return_counts=True)
        concept = name if name >= 0 else None
        readings = []
        tuples: Counter[int] = Counter()
        for at in np.lexsort((first, -counts)):
            value = int(values[at])
            named = self._concepts(value)
            tuples.update(dict.fromkeys(named, int(counts[at])))
            covered = value == -1 - name if concept is None else concept in named
            readings.append(Reading(table.values[rhs][value], self._ids(rows[codes == value]), covered))
        others = sorted((-covers, other) for other, covers in tuples.items() if other != concept)
        lhs = tuple(
            table.values[position][int(table.codes[position][rows[0]])]
            for position in (table.names.index(name) for name in self.ofd.lhs)
        )
        return ClassReport(lhs, concept, tuple(readings), tuple((other, -covers) for covers, other in others))

    def _concepts(self, value: int) -> list[int]:
        """Names of a value of the right side."""
        if self._names is None:
            return []
        found: list[int] = self._names.classes[self._names.offsets[value] : self._names.offsets[value + 1]].tolist()
        return found

    def _ids(self, rows: Ints) -> Ints:
        return rows if self._row_ids is None else self._row_ids[rows]


def check(table: Any, ofd: OFD, ontology: Names | None = None, *, nulls: Missing = "ignore") -> Report:
    """Which tuples violate a dependency, which classes only a common concept saves, and by how much it holds.

    Args:
        table: a Table, or whatever `tables.read` takes.
        nulls: rows that lack a cell of the dependency are left out (`ignore`), or the NULLs of a column are one value
            (`equal`) or all different ones (`distinct`); of a Table the last two compare them as they are encoded.

    Raises:
        ValueError: if the table lacks a column of the dependency, the right side stands on the left too, or kind and
            theta do not go together.
    """
    table = table if isinstance(table, Table) else read(table, nulls="distinct" if nulls == "distinct" else "equal")
    positions = columns_of(ofd, table.names)
    ids: Ints | None = None
    every = table.rows
    if nulls == "ignore" and (lacks := lacking(table, (*ofd.lhs, ofd.rhs))).any():
        ids = np.flatnonzero(~lacks).astype(np.int32)
        table = Table(table.names, tuple(codes[ids] for codes in table.codes), table.values)
    names = ontology.names(ofd.rhs, table.values[positions[-1]], ofd.theta) if ontology else None
    columns = arrange(table, [names if at == positions[-1] else None for at in range(len(table.names))], positions)
    rhs = len(positions) - 1
    scratch = Scratch.of(columns, rhs)
    lhs = sorted(range(rhs), key=lambda column: -len(table.values[positions[column]]))
    classes = partition(columns, lhs, scratch) if table.rows > 1 else 0
    with ThreadPoolExecutor(1) as beside:
        chance = beside.submit(_by_chance, columns, rhs, classes, scratch) if names else None
        judged = judge(columns, rhs, classes, rhs, scratch)
    name = judged.name
    if names is not None:  # a literal class is told by the merged code of its value
        value = np.empty(columns.diversity, np.int32)
        value[columns.codes[-1]] = columns.codes[rhs]
        name = np.where(name < 0, -1 - value[-1 - np.minimum(name, -1)], name)
    by_name = judged.best == judged.sizes
    strength = judged.strength(chance.result(), table.rows) if chance and judged.gain else None
    support = (table.rows - judged.deficit) / table.rows if table.rows else 1.0
    return Report(
        replace(ofd, support=support, strength=strength),
        rows=table.rows,
        classes=classes,
        constant=classes - len(by_name),
        by_name=int(by_name.sum()),
        violated=int((~by_name).sum()),
        deficit=judged.deficit,
        flagged=int(judged.sizes[~by_name].sum()),
        flagged_without_names=int(judged.sizes.sum()),
        incomplete=every - table.rows,
        _table=table,
        _names=names,
        _row_ids=ids,
        _members=scratch.rows[rhs],
        _judged=judged._replace(name=name),
    )


def _by_chance(columns: Columns, rhs: int, classes: int, scratch: Scratch) -> int:
    """`broken_by_chance` in a thread of its own."""
    own = scratch._replace(counts=np.zeros_like(scratch.counts), codes=np.empty_like(scratch.codes))
    return broken_by_chance(columns, rhs, permuted(columns, rhs), classes, rhs, own)
