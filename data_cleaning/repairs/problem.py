"""The repair of one right-hand column: its classes, their senses, and what has to be decided."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.repairs.candidates import Candidates, find_candidates
from agentlab_runner.data_cleaning.repairs.classes import Classes
from agentlab_runner.data_cleaning.repairs.front import Choice, Demand, Piece, pieces_of
from agentlab_runner.data_cleaning.repairs.labels import Label, Labels, Pair
from agentlab_runner.data_cleaning.repairs.program import EXACT_SIZE, program
from agentlab_runner.data_cleaning.repairs.readings import Bools, Ints
from agentlab_runner.data_cleaning.repairs.senses import Emd, Init, assign, refine
from agentlab_runner.data_cleaning.repairs.ties import undecided
from agentlab_runner.data_cleaning.table.tables import Missing
from agentlab_runner.data_cleaning.types import OFD, Table

Search = Literal["auto", "exact", "fixed", "beam"]


class Bound(NamedTuple):
    """What the conflict graph says of the least number of changed cells without additions (spec 2.8)."""

    lower: int
    """Size of a matching: so many tuples at least must change if the classes keep their senses."""
    upper: int
    """Twice that, the 2-approximate vertex cover, times min(right-hand columns, dependencies)."""


@dataclass(frozen=True)
class Problem:
    """One column, ready to be searched."""

    classes: Classes
    assigned: Ints
    """[X], senses at first."""
    senses: Ints
    """[X], senses after classes that share tuples were brought to agree."""
    forced: frozenset[Pair]
    """Additions without which some tuples had no allowed label."""
    stuck: Bools
    """[G], tuples between senses that have no label in common."""
    behind: Ints
    """[X], the concept a class is read in as soon as its most frequent value, unknown so far, is added to that concept;
    until then it is read in the value's literal class. -1 where there is none."""
    candidates: Candidates

    @classmethod
    def pose(
        cls, table: Table, ofds: Sequence[OFD], ontology: Ontology, *, init: Init, emd: Emd, threshold: float,
        typo_guard: bool, adopt_foreign: bool, nulls: Missing, fill_missing: bool,
    ) -> "Problem":
        """The problem of the column that all of `ofds` have on the right."""
        classes = Classes.build(table, ofds, ontology, nulls=nulls, fill_missing=fill_missing)
        assigned = assign(classes, init)
        senses = refine(classes, assigned, emd, threshold) if len(ofds) > 1 else assigned
        forced: frozenset[Pair] = frozenset()
        stuck = np.zeros(len(classes.value), dtype=bool)
        if len(ofds) > 1:
            senses, forced, stuck = reconcile(classes, senses, adopt_foreign)
        behind = concepts_behind(classes, senses)
        width = classes.readings.senses
        lent = np.array([value * width + sense for value, sense in forced], dtype=np.int64)
        settled = (behind >= 0) & np.isin((senses - classes.readings.concepts) * width + behind, lent)
        senses, behind = np.where(settled, behind, senses), np.where(settled, -1, behind)
        hubs = np.where(behind >= 0, senses - classes.readings.concepts, -1)
        read = np.where(behind >= 0, behind, senses)
        candidates = find_candidates(
            classes, np.arange(len(read)), read, hubs, typo_guard=typo_guard, adopt_foreign=adopt_foreign
        )
        return cls(classes, assigned, senses, forced, stuck, behind, candidates)

    def search(
        self, how: Search, typo_guard: bool, adopt_foreign: bool, limit: int | None
    ) -> tuple[list[Piece], int, Search]:
        """(pieces, cells that change whatever is added, how it was searched)."""
        if how == "exact" or (how == "auto" and len(self.classes.cover.node) <= EXACT_SIZE):
            asked = {"typo_guard": typo_guard, "adopt_foreign": adopt_foreign}
            wide = len(self.classes.cover.node) <= EXACT_SIZE
            whole = program(self.classes, self.senses, self.candidates, wide=wide, **asked)
            if wide and not whole.is_small:
                whole = program(self.classes, self.senses, self.candidates, **asked)
            if how == "exact" or whole.is_small:
                return whole.pieces(limit), 0, "exact"
        additions, demands, certain = self.demands()
        column = self.classes.readings.column
        named = [(column, int(v), int(s)) for v, s in additions]
        forced = Piece(np.zeros(1, dtype=np.int64), (Choice(tuple((column, *pair) for pair in sorted(self.forced))),))
        search: Literal["fixed", "beam"] = "beam" if how == "beam" else "fixed"
        return [forced, *pieces_of(named, demands, search, limit)], certain, search

    def demands(self) -> tuple[list[Pair], list[Demand], int]:
        """(additions in order of preference, what tuples need to stay, tuples no addition can keep)."""
        labels = Labels(self.classes, self.senses, self.forced)
        found = self.candidates
        group, member = np.nonzero(labels.outside() & ~self.stuck[:, None])
        node, value = self.classes.members[group, member], self.classes.value[group]
        behind = self.behind[node]
        late = behind >= 0  # needs its class's own addition first, and then its own unless the concept covers it
        covered = self.classes.covers(node, value, behind)
        first = found.find(self.senses[node] - self.classes.readings.concepts, behind)
        own = found.find(value, np.where(late, behind, self.senses[node]))
        group = np.concatenate((group[late], group[~(late & covered)]))
        row = np.concatenate((first[late], own[~(late & covered)]))
        blocked = np.zeros(len(self.classes.value), dtype=bool)
        blocked[group[~found.allowed[row]]] = True
        useful = ~blocked[group]
        rows, inverse = np.unique(row[useful], return_inverse=True)
        order = np.lexsort((rows, found.chance[rows], ~found.supported[rows]))
        place = np.argsort(order)[inverse]
        additions = [(int(found.value[one]), int(found.sense[one])) for one in rows[order]]
        wanted = np.unique(group[useful] * max(1, len(rows)) + place)
        group, place = wanted // max(1, len(rows)), wanted % max(1, len(rows))
        count = self.classes.count
        alone = np.bincount(group, minlength=len(count))[group] == 1
        savings = np.bincount(place[alone], count[group[alone]], len(rows)).astype(np.int64)
        demands = Counter({frozenset({one}): saved for one, saved in enumerate(savings.tolist()) if saved})
        starts = np.flatnonzero(np.diff(group[~alone], prepend=-1))
        several = np.split(place[~alone], starts[1:])
        for own, g in zip(several, group[~alone][starts].tolist(), strict=bool(len(starts))):
            demands[frozenset(own.tolist())] += int(count[g])
        return additions, list(demands.items()), int(count[blocked].sum())

    def under(self, choices: Iterable[Choice]) -> Labels:
        """The senses and labels of the column under some choices."""
        senses = self.senses.copy()
        pairs: set[Pair] = set()
        column, width = self.classes.readings.column, self.classes.readings.senses
        for choice in choices:
            pairs |= {(v, s) for name, v, s in choice.additions if name == column}
            for name, node, sense in choice.senses:
                if name == column:
                    senses[node] = sense
        added = np.array([v * width + s for v, s in pairs], dtype=np.int64)
        lent = (self.senses - self.classes.readings.concepts) * width + self.behind
        now = (self.behind >= 0) & (senses == self.senses) & np.isin(lent, added)
        senses[now] = self.behind[now]
        return Labels(self.classes, senses, pairs)

    def carry_out(self, choices: Iterable[Choice]) -> "Outcome":
        """What becomes of the column under some choices."""
        labels = self.under(choices)
        read = np.where(self.behind >= 0, self.behind, self.senses)
        candidates = self.candidates
        if ((labels.senses != self.senses) & (labels.senses != read)).any():
            candidates = find_candidates(self.classes, np.arange(len(labels.senses)), labels.senses)
        outside = labels.outside()
        ties = undecided(labels, outside, candidates)
        new: dict[int, Label | None] = {}
        for g in np.flatnonzero(outside.any(axis=1)).tolist():
            nodes = tuple(x for x in self.classes.members[g].tolist() if x >= 0)
            tied = not ties.keys().isdisjoint(nodes)
            new[g] = None if tied else labels.for_cell(nodes, int(self.classes.value[g]), candidates)
        return Outcome(self, labels, outside, new, ties)

    def flagged(self) -> Bools:
        """[N], the tuples that the sense of one of their classes does not cover."""
        outside = Labels(self.classes, self.senses).outside().any(axis=1)
        return np.append(outside, False)[self.classes.group]  # -1 is a tuple of no group

    def bound(self, right_hand_columns: int, dependencies: int) -> Bound:
        """From counts: the conflict graph of a class is complete but for the tuples its sense covers."""
        classes = self.classes
        covered = classes.covered(np.arange(len(self.senses)), self.senses)
        outside = classes.size - covered
        matching = np.minimum(outside, classes.size // 2)
        each = np.bincount(classes.owner, matching, len(classes.ofds)).astype(np.int64)
        return Bound(int(each.max(initial=0)), 2 * int(each.sum()) * min(right_hand_columns, dependencies))


@dataclass(frozen=True)
class Outcome:
    """One column after some choices."""

    problem: Problem
    labels: Labels
    outside: Bools
    """[G, M], which classes object to a group's value."""
    new: dict[int, Label | None]
    """What the cells of a group become; None where a class is undecided or its senses have no label in common."""
    ties: dict[int, list[int]]
    """The classes that are undecided, with the senses that they may have as well as their own."""


def concepts_behind(classes: Classes, senses: Ints) -> Ints:
    """[X], the concept that covers most of a class that is read in a literal sense; -1 where none covers any of it."""
    cover, readings = classes.cover, classes.readings
    known = cover.sense < readings.concepts
    node, sense = cover.node[known], cover.sense[known]
    order = np.lexsort((sense, -cover.values[known], -cover.tuples[known], node))
    there, first = np.unique(node[order], return_index=True)
    behind = np.full(len(senses), -1)
    behind[there] = sense[order][first]
    value = (senses - readings.concepts).clip(min=0)
    literal = (senses >= readings.concepts) & ~readings.known[value] & ~readings.null[value]
    return np.where(literal, behind, -1)


def reconcile(classes: Classes, senses: Ints, adopt_foreign: bool = False) -> tuple[Ints, frozenset[Pair], Bools]:
    """(senses, additions, [G] what stays unresolved) such that tuples that must change have a label to change to.

    For tuples between classes whose senses have no label in common, in this order: the smaller class takes the sense of
    another, if that costs no more tuples than it helps; one addition makes a label common; the smaller class takes the
    other sense whatever it costs; or they are left as they are.
    """
    senses = senses.copy()
    forced: set[Pair] = set()
    stuck = np.zeros(len(classes.value), dtype=bool)
    for nodes in _without_label(classes, Labels(classes, senses)):
        labels = Labels(classes, senses, forced)
        if labels.agreed(nodes) is not None:
            continue
        small = min(nodes, key=lambda x: (int(classes.size[x]), x))
        change = _change_of_sense(classes, labels, small, nodes)
        addition = _common(classes, labels, nodes, adopt_foreign)
        if change is not None and (change[0] <= 0 or addition is None):
            senses[small] = change[1]
        elif addition is not None:
            forced.add(addition)
    labels = Labels(classes, senses, forced)
    for nodes, groups in _to_change(classes, labels).items():
        if labels.agreed(nodes) is None:
            stuck[groups] = True
    return senses, frozenset(forced), stuck


def _to_change(classes: Classes, labels: Labels) -> dict[tuple[int, ...], list[int]]:
    """Groups that cannot stay, by the classes they stand in, where these are several."""
    found: dict[tuple[int, ...], list[int]] = {}
    for g in np.flatnonzero(labels.outside().any(axis=1)).tolist():
        nodes = tuple(x for x in classes.members[g].tolist() if x >= 0)
        if len(nodes) > 1:
            found.setdefault(nodes, []).append(g)
    return found


def _without_label(classes: Classes, labels: Labels) -> list[tuple[int, ...]]:
    return sorted(nodes for nodes in _to_change(classes, labels) if labels.agreed(nodes) is None)


def _change_of_sense(
    classes: Classes, labels: Labels, node: int, nodes: tuple[int, ...]
) -> tuple[int, int] | None:
    """(tuples it costs beyond those it helps, sense): the best sense a class may take from those it meets."""
    lost, here, before = _lost(classes, labels, node), np.array([node]), labels.senses[[node]]
    found = []
    for sense in dict.fromkeys(int(labels.senses[x]) for x in nodes if x != node):
        senses = labels.senses.copy()
        senses[node] = sense
        helped = lost - _lost(classes, Labels(classes, senses, labels.additions), node)
        price = classes.covered(here, before) - classes.covered(here, senses[[node]])
        if helped > 0:
            found.append((int(price[0]) - helped, sense))
    return min(found, default=None)


def _lost(classes: Classes, labels: Labels, node: int) -> int:
    """Tuples of a class that must change and have no label to change to."""
    mine = np.flatnonzero((classes.members == node).any(axis=1))
    lost = 0
    for g in mine.tolist():
        nodes = tuple(x for x in classes.members[g].tolist() if x >= 0)
        covered = labels.covers(np.array(nodes), np.full(len(nodes), classes.value[g])).all()
        lost += 0 if covered or labels.agreed(nodes) is not None else int(classes.count[g])
    return lost


def _common(classes: Classes, labels: Labels, nodes: tuple[int, ...], adopt_foreign: bool) -> Pair | None:
    """The addition that gives these classes a common label: the value most frequent in them that one of them lacks."""
    cells, readings = classes.cells, classes.readings
    spans = [slice(cells.offsets[x], cells.offsets[x + 1]) for x in nodes]
    values, at = np.unique(np.concatenate([cells.value[span] for span in spans]), return_inverse=True)
    seen = np.bincount(at, np.concatenate([cells.count[span] for span in spans]))
    covered = labels.covers(np.array(nodes)[:, None], values[None, :])
    lacking = np.array(labels.senses[list(nodes)])[np.argmin(covered, axis=0)]
    fit = (covered.sum(axis=0) == len(nodes) - 1) & (lacking < readings.concepts) & ~readings.null[values]
    if not adopt_foreign:
        fit &= ~readings.named_otherwise(values, lacking)
    if not fit.any():
        return None
    best = min(np.flatnonzero(fit).tolist(), key=lambda one: (-seen[one], int(values[one])))
    return int(values[best]), int(lacking[best])
