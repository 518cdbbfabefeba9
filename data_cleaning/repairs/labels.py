"""What a cell may become: a label that every class it stands in allows, and of these the likeliest."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.repairs.candidates import Candidates
from agentlab_runner.data_cleaning.repairs.classes import Classes
from agentlab_runner.data_cleaning.repairs.readings import Bools, Ints

Pair = tuple[int, int]
"""(value code, sense): an addition."""
Reason = Literal[
    "typo", "most frequent in its class", "most frequent in the column", "one of several names", "canonical label"
]
_MOST: tuple[Reason, ...] = ("most frequent in its class", "most frequent in the column", "one of several names")
"""By how many counts, in the class and in the column, others equal a name."""


class Label(NamedTuple):
    text: str
    reason: Reason


class Labels:
    """The labels of senses, additions included, seen from the classes that are read in them.

    Args:
        senses: [X].
        additions: (value, sense) pairs the ontology gets.
    """

    def __init__(self, classes: Classes, senses: Ints, additions: Iterable[Pair] = ()) -> None:
        self.classes, self.senses = classes, senses
        self.additions = frozenset(additions)
        width = classes.readings.senses
        self._keys = np.array(sorted(v * width + s for v, s in self.additions), dtype=np.int64)
        self._codes = {text: code for code, text in enumerate(classes.readings.texts)}
        self._agreed: dict[tuple[int, ...], Label | None] = {}
        self._elsewhere: dict[tuple[tuple[int, int], ...], Label | None] = {}

    def covers(self, nodes: Ints, values: Ints, senses: Ints | None = None) -> Bools:
        """Whether each value is allowed in the class beside it, read in its own sense or in that of `senses`."""
        nodes, values, senses = np.broadcast_arrays(nodes, values, self.senses[nodes] if senses is None else senses)
        covered = self.classes.covers(nodes, values, senses)
        if len(self._keys):
            covered |= np.isin(values * self.classes.readings.senses + senses, self._keys)
        return covered

    def outside(self) -> Bools:
        """[G, M], where a group's value is not allowed in its class."""
        members = self.classes.members
        return (members >= 0) & ~self.covers(members.clip(min=0), self.classes.value[:, None])

    def allows(self, nodes: tuple[int, ...], text: str) -> bool:
        """Whether all of these classes allow a text, which need not stand in the column."""
        code = self._codes.get(text)
        if code is not None:
            return all(self._covers_one(x, code) for x in nodes)
        thetas = self.classes.theta(np.array(nodes)).tolist()
        senses = self.senses[list(nodes)].tolist()
        return all(self.classes.readings.covers_text(theta, [text], sense)[0]
                   for theta, sense in zip(thetas, senses, strict=True))

    def for_cell(self, nodes: tuple[int, ...], value: int, candidates: Candidates) -> Label | None:
        """What a cell with this value, standing in these classes, becomes; None if no label is in all their senses.

        A slip of the keyboard is undone; otherwise see `agreed`.
        """
        for x in nodes:
            row = candidates.row.get((value, int(self.senses[x])))
            meant = None if row is None else candidates.nearest[row]
            if meant is not None and self.allows(nodes, meant):
                return Label(meant, "typo")
        return self.agreed(nodes)

    def agreed(self, nodes: tuple[int, ...]) -> Label | None:
        """The label of all these classes that is most frequent in them, then in the column, then the canonical one."""
        if nodes not in self._agreed:
            self._agreed[nodes] = self._agree(nodes)
        return self._agreed[nodes]

    def _agree(self, nodes: tuple[int, ...]) -> Label | None:
        cells = self.classes.cells
        for x in nodes:
            if self.best[x] >= 0 and all(self._covers_one(other, int(self.best[x])) for other in nodes):
                return Label(str(self.classes.readings.texts[self.best[x]]), _MOST[self._equals[x]])
        spans = [slice(cells.offsets[x], cells.offsets[x + 1]) for x in nodes]
        values, at = np.unique(np.concatenate([cells.value[span] for span in spans]), return_inverse=True)
        seen = np.bincount(at, np.concatenate([cells.count[span] for span in spans]))
        found = self._first(nodes, values, seen)
        if found is not None:
            return found
        key = tuple(zip(self.classes.theta(np.array(nodes)).tolist(), self.senses[list(nodes)].tolist(), strict=True))
        if key not in self._elsewhere:
            self._elsewhere[key] = self._outside_the_classes(nodes, key)
        return self._elsewhere[key]

    def _outside_the_classes(self, nodes: tuple[int, ...], key: tuple[tuple[int, int], ...]) -> Label | None:
        readings = self.classes.readings
        found = self._first(nodes, np.arange(len(readings.texts)), np.zeros(len(readings.texts)))
        if found is not None:
            return found if found.reason != _MOST[0] else found._replace(reason=_MOST[1])
        texts = [text for theta, sense in key for text in readings.labels(theta, sense)]
        canonical = next((text for text in texts if self.allows(nodes, text)), None)
        return None if canonical is None else Label(canonical, "canonical label")

    def _first(self, nodes: tuple[int, ...], values: Ints, seen: NDArray[Any]) -> Label | None:
        """The value most seen, then most frequent, that all the classes allow."""
        fit = self._all_cover(nodes, values) & ~self.classes.readings.null[values]
        values, seen = values[fit], seen[fit]
        often = self.classes.frequency[values]
        order = np.lexsort((values, -often, -seen))
        if not len(order):
            return None
        equals = _equals(order, seen, often)
        return Label(str(self.classes.readings.texts[values[order[0]]]), _MOST[int(equals[0])])

    def _covers_one(self, node: int, value: int) -> bool:
        sense, readings = int(self.senses[node]), self.classes.readings
        if sense == readings.concepts + value or (value, sense) in self.additions:
            return True
        names = readings.names(self.classes.ofds[self.classes.owner[node]].theta)
        return sense in names.classes[names.offsets[value] : names.offsets[value + 1]]

    def _all_cover(self, nodes: tuple[int, ...], values: Ints) -> Bools:
        return np.asarray(self.covers(np.array(nodes)[:, None], values[None, :]).all(axis=0))

    @property
    def best(self) -> Ints:
        """[X], the most frequent value each class allows, then the most frequent in the column; -1 if it has none."""
        return self._ranked[0]

    @property
    def _equals(self) -> Ints:
        """[X], in how many of the two counts another value equals it; see `_MOST`."""
        return self._ranked[1]

    @cached_property
    def _ranked(self) -> tuple[Ints, Ints]:
        cells, readings = self.classes.cells, self.classes.readings
        node = cells.node
        fit = self.covers(node, cells.value) & ~readings.null[cells.value]
        node, value, count = node[fit], cells.value[fit], cells.count[fit]
        often = self.classes.frequency[value]
        order = np.lexsort((value, -often, -count, node))
        first = np.unique(node[order], return_index=True)[1]
        best, equals = np.full(len(self.senses), -1), np.zeros(len(self.senses), dtype=np.int64)
        best[node[order[first]]] = value[order[first]]
        equals[node[order[first]]] = _equals(order, count, often, node)[first]
        return best, equals


def _equals(order: Ints, seen: NDArray[Any], often: Ints, owner: Ints | None = None) -> Ints:
    """By place in `order`: 0 where the next one of the same owner is seen less, 1 where it is but rarer, else 2."""
    here, following = order, np.roll(order, -1)
    same = np.arange(len(order)) < len(order) - 1
    if owner is not None:
        same &= owner[here] == owner[following]
    alike = same & (seen[here] == seen[following])
    found: Ints = alike.astype(np.int64) + (alike & (often[here] == often[following]))
    return found
