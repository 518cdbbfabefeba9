"""Additions to the ontology against changes of cells: what each piece of a problem offers, and all of it together.

A repair falls into pieces that share no addition. Each piece says how few cells must change for every number of
additions it may make; the Pareto front of the whole is the cheapest way to hand out additions among the pieces.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from agentlab_runner.data_cleaning.repairs.readings import Ints

Addition = tuple[str, int, int]
"""(column, value code, sense)."""
Demand = tuple[frozenset[int], int]
"""Numbers of the additions without any of which these tuples must change, and how many tuples."""

ENUMERATED = 12
"""Hubs whose subsets are all tried; above, a beam."""
BEAM = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to treat a piece."""

    additions: tuple[Addition, ...] = ()
    senses: tuple[tuple[str, int, int], ...] = ()
    """(column, node, sense) where the piece reads a class otherwise than it was assigned."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The cheapest choices of one piece, by number of additions."""

    costs: Ints
    """[k + 1], cells to change with at most 0 .. k additions."""
    choices: Sequence[Choice]


class Front:
    """The Pareto front of all pieces.

    Args:
        fixed: cells that change whatever is added.
        pieces: those with one addition are sorted by what it saves; the others are combined by dynamic programming.
        limit: most additions.
    """

    def __init__(self, fixed: int, pieces: Sequence[Piece], limit: int | None = None) -> None:
        single = [piece for piece in pieces if len(piece.costs) == 2]
        self._single = sorted(single, key=lambda piece: int(piece.costs[1] - piece.costs[0]))  # ties stay as they came
        self._other = [piece for piece in pieces if len(piece.costs) != 2]
        most = sum(len(piece.costs) - 1 for piece in pieces)
        self._limit = most if limit is None else min(limit, most)
        self._tables = [np.zeros(1, dtype=np.int64)]
        for piece in self._other:
            self._tables.append(_combine(self._tables[-1], piece.costs)[: self._limit + 1])
        savings = np.array([piece.costs[0] - piece.costs[1] for piece in self._single], dtype=np.int64)
        least = sum(int(piece.costs[1]) for piece in self._single)
        self._row = least + savings.sum() - np.concatenate(([0], np.cumsum(savings)))
        self.costs = fixed + _combine(self._tables[-1], self._row)[: self._limit + 1]
        """[limit + 1], fewest changes with at most k additions."""
        better = np.concatenate(([True], self.costs[1:] < np.minimum.accumulate(self.costs)[:-1]))
        self.points = np.flatnonzero(better)
        """The numbers of additions on the front: with fewer, more cells change."""
        self._fixed = fixed

    def choose(self, additions: int) -> list[Choice]:
        """The choices that reach `costs[additions]`."""
        among = self._split(additions)
        single = [piece.choices[place < additions - among] for place, piece in enumerate(self._single)]
        return [*single, *self._others(among)]

    def merits(self, merit: Callable[[Choice], int]) -> Ints:
        """[points], the sum of `merit` over the choices of each point of the front."""
        single = np.concatenate(([0], np.cumsum([merit(piece.choices[1]) for piece in self._single], dtype=np.int64)))
        splits = [(k, self._split(k)) for k in self.points.tolist()]
        others = {among: sum(map(merit, self._others(among))) for among in {among for _, among in splits}}
        return np.array([single[k - among] + others[among] for k, among in splits])

    def _split(self, additions: int) -> int:
        """How many of the additions go to pieces that have more than one; as many as possible."""
        table, row, wanted = self._tables[-1], self._row, self.costs[additions] - self._fixed
        return next(k for k in range(min(additions, len(table) - 1), -1, -1)
                    if additions - k < len(row) and table[k] + row[additions - k] == wanted)

    def _others(self, among: int) -> list[Choice]:
        chosen = []
        for piece, before, after in zip(self._other[::-1], self._tables[-2::-1], self._tables[:0:-1], strict=True):
            own = next(k for k in range(len(piece.costs))
                       if 0 <= among - k < len(before) and before[among - k] + piece.costs[k] == after[among])
            chosen.append(piece.choices[own])
            among -= own
        return chosen


def _combine(a: Ints, b: Ints) -> Ints:
    """Least a[i] + b[k - i] for every k; both shrink as their index grows."""
    short, long = sorted((a, b), key=len)
    best = np.full(len(a) + len(b) - 1, np.iinfo(np.int64).max)
    for position, cost in enumerate(short.tolist()):
        span = slice(position, position + len(long))
        np.minimum(best[span], long + cost, out=best[span])
    return best


def pieces_of(
    additions: Sequence[Addition], demands: Sequence[Demand], search: Literal["fixed", "beam"], limit: int | None = None
) -> list[Piece]:
    """The pieces of a problem whose senses are settled.

    Args:
        additions: in order of preference among equals.
        demands: over positions in `additions`.
        search: `fixed` is the optimum of each piece (a beam where more than 12 hubs tie it together); `beam` is the
            published search over all additions at once.
    """
    if search == "beam":
        return [_beam(additions, range(len(additions)), demands, limit)] if additions else []
    alone = np.zeros(len(additions), dtype=np.int64)
    bundles = [demand for demand in demands if len(demand[0]) > 1]
    for wanted, tuples in demands:
        if len(wanted) == 1:
            alone[next(iter(wanted))] += tuples
    pieces = []
    for members, inside in _components(len(additions), bundles):
        if not inside:
            costs = np.array([alone[members[0]], 0])
            pieces.append(Piece(costs, (Choice(), Choice((additions[members[0]],)))))
            continue
        every = [*inside, *((frozenset({one}), int(alone[one])) for one in members if alone[one])]
        hubs = _hubs(inside)
        few = len(hubs) <= ENUMERATED
        pieces.append(_enumerate(additions, hubs, every) if few else _beam(additions, members, every, limit))
    return pieces


def _components(count: int, bundles: Sequence[Demand]) -> list[tuple[list[int], list[Demand]]]:
    """Additions that hang together by demands, and those demands."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = [(min(wanted), one) for wanted, _ in bundles for one in wanted]
    rows, columns = (np.array(side, dtype=np.int64) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    graph = coo_matrix((np.ones(len(pairs), dtype=np.int8), (rows, columns)), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    members: dict[int, tuple[list[int], list[Demand]]] = {}
    for one, own in enumerate(label.tolist()):
        members.setdefault(own, ([], []))[0].append(one)
    for demand in bundles:
        members[int(label[min(demand[0])])][1].append(demand)
    return list(members.values())


def _hubs(bundles: Sequence[Demand]) -> list[int]:
    """Additions without which no demand waits for more than one other; few, as bundles are stars as a rule."""
    hubs: set[int] = set()
    while True:
        seen = Counter(one for wanted, _ in bundles if len(wanted - hubs) > 1 for one in wanted - hubs)
        if not seen:
            return sorted(hubs)
        hubs.add(min(seen, key=lambda one: (-seen[one], one)))


def _enumerate(additions: Sequence[Addition], hubs: Sequence[int], demands: Sequence[Demand]) -> Piece:
    """The optimum: every set of hubs is tried, and beside it the other additions by what they then save."""
    total = sum(tuples for _, tuples in demands)
    best: dict[int, tuple[int, list[int]]] = {}
    for size in range(len(hubs) + 1):
        for some in combinations(hubs, size):
            there, saved, gains = set(some), 0, Counter[int]()
            for wanted, tuples in demands:
                left = wanted - there
                if not left:
                    saved += tuples
                elif len(left) == 1 and not left & set(hubs):
                    gains[next(iter(left))] += tuples
            order = sorted(gains, key=lambda one: (-gains[one], one))
            for count in range(len(order) + 1):
                cost = total - saved - sum(gains[one] for one in order[:count])
                if cost < best.get(size + count, (total + 1, []))[0]:
                    best[size + count] = cost, [*some, *order[:count]]
    costs, choices = [total], [Choice()]
    for count in range(1, max(best) + 1):
        cost, chosen = best.get(count, (total, []))
        better = cost < costs[-1]
        costs.append(cost if better else costs[-1])
        choices.append(Choice(tuple(additions[one] for one in chosen)) if better else choices[-1])
    return _trimmed(costs, choices)


@dataclass(frozen=True, slots=True)
class _State:
    cost: int
    chosen: tuple[int, ...]
    lacking: Ints
    """[D], how many additions each demand still waits for."""
    gains: Ints
    """[C], what one more addition would save at once; -1 for those made."""


def _beam(additions: Sequence[Addition], members: Sequence[int], demands: Sequence[Demand], limit: int | None) -> Piece:
    """Level k holds the best sets of k additions, grown from the best of level k - 1 (OFDClean's ontology repair).

    The width is the number of additions over e, at most 64 (spec 4).
    """
    place = {one: position for position, one in enumerate(members)}
    sets = [sorted(place[one] for one in wanted) for wanted, _ in demands]
    weight = np.array([tuples for _, tuples in demands], dtype=np.int64)
    waiting: list[list[int]] = [[] for _ in members]
    for number, wanted in enumerate(sets):
        for one in wanted:
            waiting[one].append(number)
    width = max(1, min(BEAM, int(len(members) / np.e)))
    gains = np.zeros(len(members), dtype=np.int64)
    for number, wanted in enumerate(sets):
        if len(wanted) == 1:
            gains[wanted[0]] += weight[number]
    level = [_State(int(weight.sum()), (), np.array([len(wanted) for wanted in sets], dtype=np.int64), gains)]
    costs, choices = [level[0].cost], [Choice()]
    while costs[-1] and len(costs) <= len(members) and (limit is None or len(costs) <= limit):
        grown: dict[tuple[int, ...], tuple[int, _State, int]] = {}
        for state in level:
            free = np.argsort(-state.gains, kind="stable")[: min(width, len(members) - len(state.chosen))]
            for one in free.tolist():
                grown.setdefault(tuple(sorted((*state.chosen, one))), (state.cost - int(state.gains[one]), state, one))
        kept = sorted(grown.items(), key=lambda item: (item[1][0], item[0]))[:width]
        level = [_grow(state, one, chosen, cost, sets, weight, waiting) for chosen, (cost, state, one) in kept]
        best = level[0]
        costs.append(min(best.cost, costs[-1]))
        choices.append(
            Choice(tuple(additions[members[one]] for one in best.chosen)) if best.cost < costs[-2] else choices[-1]
        )
    return _trimmed(costs, choices)


def _grow(
    state: _State, one: int, chosen: tuple[int, ...], cost: int, sets: Sequence[Sequence[int]], weight: Ints,
    waiting: Sequence[Sequence[int]],
) -> _State:
    lacking, gains = state.lacking.copy(), state.gains.copy()
    lacking[waiting[one]] -= 1
    for number in waiting[one]:
        if lacking[number] == 1:
            last = next(other for other in sets[number] if other not in chosen)
            gains[last] += weight[number]
    gains[one] = -1
    return _State(cost, chosen, lacking, gains)


def _trimmed(costs: Sequence[int], choices: Sequence[Choice]) -> Piece:
    """Without the end that saves nothing more."""
    enough = costs.index(costs[-1]) + 1
    return Piece(np.array(costs[:enough], dtype=np.int64), list(choices[:enough]))
