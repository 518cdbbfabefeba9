"""Repair by trying everything: every sense, every set of additions."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product

from agentlab_runner.data_cleaning.types import OFD, Table
from tests.data_cleaning.conftest import cells


def pareto(table: Table, ofds: Sequence[OFD], classes: Mapping[str, Sequence[str]], most: int) -> list[tuple[int, int]]:
    """The front of (additions, changed cells) with at most `most` additions; all `ofds` share the right-hand column."""
    right = cells(table, ofds[0].rhs)
    values = sorted(set(right))
    blocks: list[list[int]] = []
    for ofd in ofds:
        keys = list(zip(*(cells(table, name) for name in ofd.lhs), strict=True))
        rows = [[row for row, key in enumerate(keys) if key == one] for one in sorted(set(keys))]
        blocks += [block for block in rows if len(block) > 1]
    senses = [_senses(block, blocks, right, classes) for block in blocks]
    possible = [(value, name) for value in values for name in classes if value not in classes[name]]
    front: list[tuple[int, int]] = []
    for count in range(most + 1):
        best = min(_changes(right, blocks, senses, classes, set(some)) for some in combinations(possible, count))
        if not front or best < front[-1][1]:
            front.append((count, best))
        if best == 0:
            break
    return front


def _senses(block, blocks, right, classes) -> list:
    """What a class may be read in: every concept, and the literal of each value it hangs together with."""
    rows, grown = set(block), True
    while grown:
        wider = rows.union(*(other for other in blocks if rows & set(other)))
        rows, grown = wider, wider > rows
    values = {right[row] for row in rows}
    return [*classes, *((value,) for value in sorted(values))]


def _changes(right, blocks, senses, classes, added) -> int:
    every = {sense for own in senses for sense in own}  # a 1-tuple is a literal class
    labels = {
        sense: {sense[0]} if isinstance(sense, tuple) else {*classes[sense], *(v for v, name in added if name == sense)}
        for sense in every
    }
    best = len(right) + 1
    for chosen in product(*senses):
        cost = 0
        for row, value in enumerate(right):
            sets = [labels[s] for s, block in zip(chosen, blocks, strict=True) if row in block]
            if all(value in one for one in sets):
                continue
            if not set.intersection(*sets):
                cost = best
            cost += 1
            if cost >= best:
                break
        best = min(best, cost)
    return best
