"""Repair a table and its ontology so that dependencies hold: few additions, few changes, and a reason for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.repairs.classes import Classes
from agentlab_runner.data_cleaning.repairs.front import Choice, Front
from agentlab_runner.data_cleaning.repairs.labels import Reason
from agentlab_runner.data_cleaning.repairs.problem import Bound, Outcome, Problem, Search
from agentlab_runner.data_cleaning.repairs.senses import Emd, Init
from agentlab_runner.data_cleaning.table.columns import columns_of
from agentlab_runner.data_cleaning.table.tables import Missing
from agentlab_runner.data_cleaning.types import OFD, Table

Choose = int | Literal["evidence", "knee"]


@dataclass(frozen=True, slots=True)
class Addition:
    """A value the ontology gets as one more label of a concept."""

    column: str
    value: str
    concept: int
    """Position in the column's hierarchy."""
    name: str
    """Of the concept, with its sense in brackets."""
    tuples: int
    """How many stood in violation for want of it."""
    chance: float
    """Probability that errors alone repeat a value so often."""
    supported: bool
    """Whether that is too small for an error, and the value no typo."""


@dataclass(frozen=True, slots=True)
class Change:
    """One repaired cell, and why."""

    row: int
    column: str
    old: str | None
    new: str
    ofd: str
    """The dependency that was violated; several are joined by a semicolon."""
    sense: str
    """What its class means."""
    reason: Reason


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Tuples that are left as they are: the senses of their classes have no label in common, or others fit as well."""

    column: str
    rows: tuple[int, ...]
    demands: tuple[tuple[str, str], ...]
    """(dependency, sense) of each class they stand in, or of each sense their class may have."""
    tie: bool = False

    def __str__(self) -> str:
        if self.tie:
            as_well = " as well as ".join(sense for _, sense in self.demands[:3])
            return (
                f"{len(self.rows)} rows of {self.column} (the first is row {self.rows[0]}) are unresolved: by "
                f"{self.demands[0][0]} they may mean {as_well}"
            )
        both = " but ".join(f"{ofd} wants {sense}" for ofd, sense in self.demands)
        return f"{len(self.rows)} rows of {self.column} (the first is row {self.rows[0]}) cannot be repaired: {both}"


class Point(NamedTuple):
    """One entry of the Pareto front."""

    additions: int
    changes: int


@dataclass(frozen=True)
class Repair:
    """A repair of table and ontology; the inputs are untouched until it is applied or written."""

    additions: tuple[Addition, ...]
    provenance: tuple[Change, ...]
    """Every changed cell, by column, then row."""
    pareto: tuple[Point, ...]
    """Fewest changes by number of additions; no point is beaten in both."""
    chosen: int
    """Position in `pareto` of what this repair does."""
    search: Search
    """How the front was found: `exact`, `fixed` or `beam`; the weakest where columns differ."""
    bound: Bound
    unresolved: tuple[Unresolved, ...]
    verified: bool
    """Whether the repaired table was checked again and satisfies every dependency."""
    ontology: Ontology
    """With the additions."""
    problems: tuple[Problem, ...]
    """One a right-hand column; what the report page shows."""
    front: Front

    @property
    def choices(self) -> list[Choice]:
        """What `Problem.under` makes the senses and labels of this repair of."""
        return self.front.choose(int(self.front.points[self.chosen]))

    @property
    def left(self) -> int:
        """How many of the cells that the chosen point would change are left as they are, being unresolved."""
        return max(0, self.pareto[self.chosen].changes - len(self.provenance))

    @property
    def changes(self) -> dict[str, dict[int, str | None]]:
        """New texts by column and row, as `tables.write` takes them."""
        found: dict[str, dict[int, str | None]] = {}
        for change in self.provenance:
            found.setdefault(change.column, {})[change.row] = change.new
        return found

    def apply(self, table: Table) -> Table:
        """The repaired table; `table` is the one that was repaired and stays as it is."""
        return apply(table, self.changes)

    def write(self, source: Any, out: str | Path) -> None:
        """Write `source` with the repaired cells to `out`, whole or not at all; see `tables.write`."""
        from agentlab_runner.data_cleaning.table.tables import write

        was: dict[str, dict[int, str | None]] = {}
        for change in self.provenance:
            was.setdefault(change.column, {})[change.row] = change.old
        write(source, self.changes, out, was)


def repair(
    table: Any,
    ofds: Sequence[OFD],
    ontology: Ontology | None = None,
    *,
    search: Search = "auto",
    tau: int | None = None,
    choose: Choose = "evidence",
    max_additions: int | None = None,
    typo_guard: bool = True,
    adopt_foreign: bool = False,
    nulls: Missing = "ignore",
    fill_missing: bool = False,
    sense_init: Init = "max_cover",
    emd: Emd = "normalised",
    emd_threshold: float = 0.1,
) -> Repair:
    """Find changes of right-hand cells and additions to the ontology after which every dependency holds.

    Args:
        table: a Table, or anything `tables.read` takes.
        ofds: the dependencies; a right-hand column may not stand on the left of another one.
        ontology: what is bound to the right-hand columns; None leaves plain functional dependencies.
        search: `exact` chooses senses, additions and changes together by a 0/1 program; `fixed` settles the senses
            first and is then the optimum; `beam` is the published search; `auto` is exact where that is small.
        tau: take the fewest additions with which at most this many cells change.
        choose: without `tau`, which point of the Pareto front to take: so many additions at most; `evidence`, where
            additions that the data support save most beyond those that may be repeated errors; or `knee`, the point
            farthest from the chord of the front, continued by the cells that no addition saves one by one.
        max_additions: where the front ends.
        typo_guard: an unknown value one slip away from a label of its classes that is five times as frequent is not
            added to the ontology.
        adopt_foreign: let the ontology adopt values that are at home elsewhere: labels of another concept of the same
            interpretation, and unknown ones that stand mostly in classes of other meanings. They are errors otherwise.
        nulls: a row that lacks a left-hand cell is grouped with no other one, unless `equal`: then NULL is a value.
        fill_missing: fill in missing right-hand cells where their class has a meaning; they are left alone otherwise.
        sense_init, emd, emd_threshold: see `senses.assign` and `senses.refine`.

    Raises:
        ValueError: if a dependency does not fit the table or another one, or `tau`, `choose` or `max_additions` cannot
            be met.
    """
    table = _table(table, ofds)
    ontology = ontology or Ontology()
    ofds = list(dict.fromkeys(ofds))
    _check(table, ofds, max_additions)
    columns = list(dict.fromkeys(ofd.rhs for ofd in ofds))
    problems = [
        Problem.pose(
            table, [ofd for ofd in ofds if ofd.rhs == column], ontology,
            init=sense_init, emd=emd, threshold=emd_threshold, typo_guard=typo_guard, adopt_foreign=adopt_foreign,
            nulls=nulls, fill_missing=fill_missing,
        )
        for column in columns
    ]  # fmt: skip
    found = [problem.search(search, typo_guard, adopt_foreign, max_additions) for problem in problems]
    forced = sum(len(p.forced) for p, (_, _, how) in zip(problems, found, strict=True) if how != "exact")
    left = None if max_additions is None else max(0, max_additions - forced)
    front = Front(sum(certain for _, certain, _ in found), [piece for pieces, _, _ in found for piece in pieces], left)
    pareto = tuple(Point(forced + k, int(front.costs[k])) for k in front.points.tolist())
    of = dict(zip(columns, problems, strict=True))
    chosen = _pick(front, pareto, tau, choose, lambda one: sum(_merit(of[c], v, s) for c, v, s in one.additions))
    choices = front.choose(int(front.points[chosen]))
    outcomes = [problem.carry_out(choices) for problem in problems]
    additions = tuple(one for outcome in outcomes for one in _additions(outcome))
    grown = ontology.with_additions((one.column, one.value, one.concept) for one in additions)
    changes = tuple(change for outcome in outcomes for change in _changes(outcome))
    bounds = [problem.bound(len(columns), len(ofds)) for problem in problems]
    done = Repair(
        additions, changes, pareto, chosen, max((how for _, _, how in found), key=("exact", "fixed", "beam").index),
        Bound(sum(b.lower for b in bounds), sum(b.upper for b in bounds)),
        tuple(one for outcome in outcomes for one in _unresolved(outcome)), False, grown, tuple(problems), front,
    )  # fmt: skip
    return replace(done, verified=holds(done.apply(table), ofds, grown, nulls, fill_missing))


def holds(table: Table, ofds: Sequence[OFD], ontology: Ontology, nulls: Missing, fill_missing: bool) -> bool:
    """Whether every dependency holds, missing cells apart as they are in `repair`."""
    return all(
        not len(Classes.build(table, [ofd], ontology, nulls=nulls, fill_missing=fill_missing).size) for ofd in ofds
    )


def apply(table: Table, changes: Mapping[str, Mapping[int, str | None]]) -> Table:
    """A copy of the table with some cells changed."""
    codes, values = list(table.codes), list(table.values)
    for column, cells in changes.items():
        at = table.names.index(column)
        texts = list(values[at])
        of = {text: code for code, text in enumerate(texts)}
        numbers = [of.setdefault(text, len(of)) for text in cells.values()]
        every = codes[at].astype(np.int64)
        every[list(cells)] = numbers
        used, dense = np.unique(every, return_inverse=True)
        texts = [*texts, *(text for text, code in of.items() if code >= len(texts))]
        codes[at] = dense.astype(np.int32)
        values[at] = tuple(texts[code] for code in used.tolist())
    return Table(table.names, tuple(codes), tuple(values))


def _table(source: Any, ofds: Sequence[OFD]) -> Table:
    if isinstance(source, Table):
        return source
    from agentlab_runner.data_cleaning.table.tables import read

    return read(source, columns=list(dict.fromkeys(name for ofd in ofds for name in (*ofd.lhs, ofd.rhs))))


def _check(table: Table, ofds: Sequence[OFD], max_additions: int | None) -> None:
    if max_additions is not None and max_additions < 0:
        raise ValueError(f"max_additions is {max_additions}; it should be 0 or more")
    if not ofds:
        raise ValueError("there is nothing to repair by; name at least one dependency, as 'CC -> CTRY'")
    left = {name: ofd for ofd in ofds for name in ofd.lhs}
    for ofd in ofds:
        columns_of(ofd, table.names)
        if ofd.rhs in left:
            raise ValueError(
                f"{ofd} would change {ofd.rhs!r}, by which {left[ofd.rhs]} groups; repair by the one, then by the other"
            )


def _merit(problem: Problem, value: int, sense: int) -> int:
    """Tuples an addition saves, negative if they may as well be errors that repeat."""
    row = problem.candidates.row.get((value, sense))
    if row is None:
        return -1
    count = int(problem.candidates.count[row])
    return count if problem.candidates.supported[row] else -count


def _pick(front: Front, pareto: Sequence[Point], tau: int | None, choose: Choose, merit: Any) -> int:
    """The position in `pareto` that is asked for."""
    if tau is not None:
        fit = [position for position, point in enumerate(pareto) if point.changes <= tau]
        if not fit:
            last = pareto[-1]
            raise ValueError(
                f"tau={tau} cannot be met: with {last.additions} additions still {last.changes} cells change; raise it"
            )
        return fit[0]
    if choose == "evidence":
        return int(np.argmax(front.merits(merit)))
    if choose == "knee":
        x, y = (np.array(side, dtype=float) for side in zip(*pareto, strict=True))
        # the chord goes on to where nothing is left to change, an addition a cell, as if every value could be added
        run, rise = max(1.0, x[-1] + y[-1] - x[0]), max(1.0, y[0])
        return int(np.argmax(1 - (x - x[0]) / run - y / rise))
    if not isinstance(choose, int) or isinstance(choose, bool) or choose < pareto[0].additions:
        least = pareto[0].additions
        raise ValueError(f"choose is {choose!r}; give evidence, knee or a number of additions, {least} or more")
    return max(position for position, point in enumerate(pareto) if point.additions <= choose)


def _additions(outcome: Outcome) -> list[Addition]:
    found, readings = outcome.problem.candidates, outcome.problem.classes.readings
    listed = []
    for value, sense in sorted(outcome.labels.additions):
        row = found.row.get((value, sense))
        count, chance, supported = (0, 1.0, False)
        if row is not None:
            count, chance, supported = int(found.count[row]), float(found.chance[row]), bool(found.supported[row])
        text = readings.texts[value]
        assert text is not None  # NULL is never added
        listed.append(Addition(readings.column, text, sense, readings.describe(sense), count, chance, supported))
    return sorted(listed, key=lambda one: (-one.tuples, one.value, one.concept))


def _objections(outcome: Outcome, group: int) -> list[tuple[str, str]]:
    """(dependency, sense) of the classes that do not allow the value of a group."""
    return [_demand(outcome, x) for x in outcome.problem.classes.members[group][outcome.outside[group]].tolist()]


def _demand(outcome: Outcome, node: int) -> tuple[str, str]:
    """(dependency, sense) of a class."""
    classes = outcome.problem.classes
    return str(classes.ofds[classes.owner[node]]), classes.readings.describe(int(outcome.labels.senses[node]))


def _changes(outcome: Outcome) -> list[Change]:
    classes = outcome.problem.classes
    told: dict[int, tuple[str | None, str, str, str, Reason]] = {}
    for group, label in outcome.new.items():
        if label is not None:
            against = list(zip(*_objections(outcome, group), strict=True))
            ofd, sense = ("; ".join(dict.fromkeys(words)) for words in against)
            told[group] = (classes.readings.texts[classes.value[group]], label.text, ofd, sense, label.reason)
    wanted = np.zeros(len(classes.value) + 1, dtype=bool)  # the last for rows of no group, -1
    wanted[list(told)] = True
    rows = np.flatnonzero(wanted[classes.group])
    column = classes.readings.column
    return [Change(row, column, *told[g]) for row, g in zip(rows.tolist(), classes.group[rows].tolist(), strict=True)]


def _unresolved(outcome: Outcome) -> list[Unresolved]:
    classes = outcome.problem.classes
    found: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for group, label in outcome.new.items():
        if label is None and outcome.ties.keys().isdisjoint(classes.members[group].tolist()):
            demands = tuple(_demand(outcome, x) for x in classes.members[group].tolist() if x >= 0)
            found.setdefault(demands, []).extend(np.flatnonzero(classes.group == group).tolist())
    clashes = [Unresolved(classes.readings.column, tuple(sorted(rows)), demands) for demands, rows in found.items()]
    return [*clashes, *_undecided(outcome)]


def _undecided(outcome: Outcome) -> list[Unresolved]:
    if not outcome.ties:
        return []
    classes, column = outcome.problem.classes, outcome.problem.classes.readings.column
    rows, found = classes.tuples(), []
    for x, rivals in outcome.ties.items():
        ofd, own = _demand(outcome, x)
        demands = tuple((ofd, name) for name in (own, *map(classes.readings.describe, rivals)))
        found.append(Unresolved(column, tuple(rows[x].tolist()), demands, tie=True))
    return found
