"""What could be added to the ontology, and what speaks for and against it: outlying values and the senses they lack."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agentlab_runner.data_cleaning.repairs.classes import Classes, spans, sum_by
from agentlab_runner.data_cleaning.repairs.foreign import foreign
from agentlab_runner.data_cleaning.repairs.readings import Bools, Ints
from agentlab_runner.data_cleaning.repairs.senses import Floats
from agentlab_runner.data_cleaning.repairs.typos import Neighbours

TYPO_RATIO = 5
"""An unknown value one slip away from another one that is this much more frequent in the same classes is a typo."""
FALSE = 0.2
"""Share of errors, at most, among the values that are taken for labels the ontology lacks: what is aimed at."""
CHANCE = 1e-3
"""A value that errors repeat as often less probably than this is left out where their repeats are estimated."""
REPEATS = 1.25
"""How often an error is expected to repeat where the data do not tell; weighs as much as one value seen."""


@dataclass(frozen=True)
class Candidates:
    """Every value that stands in a class whose sense does not cover it; rows sorted by value, then sense."""

    value: Ints
    sense: Ints
    count: Ints
    """Tuples that it would keep from being changed, once every other addition they wait for is made; of several
    dependencies those of the one with most."""
    typo: Bools
    nearest: tuple[str | None, ...]
    """A word of these classes one slip away from an unknown value: a covered one if there is one, the most frequent."""
    chance: Floats
    """Probability that errors repeat a value this often in classes of this sense; see `_chance`."""
    allowed: Bools
    """Whether it may be added: the sense is a concept, the value is not NULL, and neither a typo nor foreign there (see
    `foreign`) unless that is asked for."""
    width: int

    @cached_property
    def supported(self) -> Bools:
        """Whether the data say that it is a label the ontology lacks.

        Of those they say it of, about `FALSE` are errors at most (Benjamini and Hochberg 1995 on `chance`).
        """
        possible = np.flatnonzero(self.allowed & ~self.typo)
        chance = np.sort(self.chance[possible])
        fit = np.flatnonzero(chance <= FALSE * np.arange(1, len(chance) + 1) / max(1, len(chance)))
        found = np.zeros(len(self.value), dtype=bool)
        if len(fit):
            found[possible] = self.chance[possible] <= chance[fit[-1]]
        return found

    @cached_property
    def row(self) -> dict[tuple[int, int], int]:
        """The row of each (value, sense)."""
        return {pair: row for row, pair in enumerate(zip(self.value.tolist(), self.sense.tolist(), strict=True))}

    def find(self, values: Ints, senses: Ints) -> Ints:
        """Row of each (value, sense); -1 for what is no candidate."""
        if not len(self.value):
            return np.full(len(values), -1)
        keys, wanted = self.value * self.width + self.sense, values * self.width + senses
        at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where(keys[at] == wanted, at, -1)


def find_candidates(
    classes: Classes, nodes: Ints, senses: Ints, hubs: Ints | None = None, *, typo_guard: bool = True,
    adopt_foreign: bool = False,
) -> Candidates:
    """The candidates if each of `nodes` were read in the sense beside it; a node may stand there with several senses.

    Args:
        hubs: [X], the value that a class would first have to lend to the sense, -1 where there is none. What speaks for
            such an addition are the tuples the sense covers already.
        adopt_foreign: allow what is at home in another concept, too.
    """
    readings, cells = classes.readings, classes.cells
    lengths = np.diff(cells.offsets)[nodes]
    at = spans(cells.offsets[nodes], lengths)
    node, sense = np.repeat(nodes, lengths), np.repeat(senses, lengths)
    value, count = cells.value[at], cells.count[at]
    outside = ~classes.covers(node, value, sense)
    gained = count if hubs is None else np.where(hubs[node] == value, classes.covered(node, sense), count)
    width = readings.senses
    # summed up for each dependency, of which the one with most counts: a tuple stands in a class of each
    many = len(classes.ofds)
    parts, outlying, seen = sum_by((value * width + sense) * many + classes.owner[node], gained * outside, count)
    keys, first = np.unique(parts // many, return_index=True)
    strange = np.zeros(0, dtype=bool)
    if len(keys):
        strange = np.logical_and.reduceat(foreign(classes, nodes, senses, hubs, parts, seen), first)
        outlying, seen = np.maximum.reduceat(outlying, first), np.maximum.reduceat(seen, first)
    values, their = keys // max(1, width), keys % max(1, width)
    lacking = outlying > 0
    typo, nearest = _typos(classes, values, their, seen, lacking)
    allowed = (their < readings.concepts) & ~readings.null[values]
    if typo_guard:
        allowed &= ~typo
    if not adopt_foreign:
        allowed &= ~strange
    near = np.array([word is not None for word in nearest], dtype=bool)
    # errors of different kinds repeat differently: values with a meaning elsewhere, slips of the keyboard, all others
    kind = 3 * their + np.where(readings.known[values], 2, near)
    chance = _chance(kind[lacking], outlying[lacking])
    return Candidates(
        values[lacking], their[lacking], outlying[lacking], typo[lacking],
        tuple(word for word, kept in zip(nearest, lacking.tolist(), strict=True) if kept),
        chance, allowed[lacking], width,
    )


def _chance(kind: Ints, count: Ints) -> Floats:
    """How likely errors alone repeat a value so often.

    If an erroneous value repeats m times on average, it does so n times or more with probability (1 - 1/m)^(n - 1). For
    each kind m is estimated on its values below the first that is too frequent to be an error, without the value that
    is judged.
    """
    if not len(kind):
        return np.empty(0)
    order = np.lexsort((count, kind))
    kind, count = kind[order], count[order]
    first, each = np.unique(kind, return_index=True, return_inverse=True)[1:]
    place = np.arange(len(kind))
    total = np.concatenate(([0], np.cumsum(count)))
    mean = (total[:-1] - total[first[each]] + REPEATS) / (place - first[each] + 1)  # of the rarer ones
    rare = np.where((1 - 1 / mean) ** (count - 1) < CHANCE, place, np.append(first[1:], len(kind))[each])
    stop = np.minimum.reduceat(rare, first)
    below = place < stop[each]
    mean = ((total[stop] - total[first])[each] - below * count + REPEATS) / ((stop - first)[each] - below + 1)
    found = np.empty(len(kind))
    found[order] = (1 - 1 / mean) ** (count - 1)
    return found


def _typos(classes: Classes, value: Ints, sense: Ints, seen: Ints, lacking: Bools) -> tuple[Bools, list[str | None]]:
    """(whether it is a typo, the nearest word) for each (value, sense) that stands in the classes."""
    readings = classes.readings
    typo = np.zeros(len(value), dtype=bool)
    nearest: list[str | None] = [None] * len(value)
    doubtful = lacking & ~readings.known[value] & ~readings.null[value]
    wanted = np.unique(sense[doubtful])
    rows = np.flatnonzero(np.isin(sense, wanted) & ~readings.null[value])
    rows = rows[np.lexsort((-seen[rows], lacking[rows], sense[rows]))]  # by preference within each sense
    theta = max(ofd.theta for ofd in classes.ofds)
    for mine in np.split(rows, np.flatnonzero(np.diff(sense[rows])) + 1):
        if not len(mine):
            continue
        words = [readings.texts[one] for one in value[mine].tolist()]
        unseen = [label for label in readings.labels(theta, int(sense[mine[0]])) if label not in set(words)]
        near = Neighbours([*words, *unseen])
        counts = [*seen[mine].tolist(), *[0] * len(unseen)]
        for row in mine[doubtful[mine]].tolist():
            found = list(near.of(readings.texts[value[row]]))
            nearest[row] = near.words[min(found)] if found else None
            typo[row] = any(counts[one] >= TYPO_RATIO * seen[row] for one in found)
    return typo, nearest
