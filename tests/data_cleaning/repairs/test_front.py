"""Fronts: known answers, and the optimum by trying every set of additions."""

from itertools import combinations

import numpy as np
import pytest

from agentlab_runner.data_cleaning.repairs.front import Choice, Front, Piece, pieces_of


def drawn(seed, count=6, demands=10):
    rng = np.random.default_rng(seed)
    additions = [("A", one, 0) for one in range(count)]
    wanted = [(frozenset(rng.choice(count, rng.integers(1, 4), replace=False).tolist()), int(rng.integers(1, 9)))
              for _ in range(demands)]  # fmt: skip
    there = sorted({one for some, _ in wanted for one in some})
    return [additions[one] for one in there], [(frozenset(there.index(o) for o in some), n) for some, n in wanted]


def best(additions, demands, count):
    every = range(len(additions))
    return min(sum(n for some, n in demands if not some <= set(chosen)) for chosen in combinations(every, count))


@pytest.mark.parametrize("seed", range(20))
def test_fixed_search_is_the_optimum(seed):
    additions, demands = drawn(seed)
    front = Front(5, pieces_of(additions, demands, "fixed"))
    assert front.costs.tolist() == [5 + best(additions, demands, k) for k in range(len(front.costs))]
    assert front.costs[-1] == 5
    for k in front.points.tolist():
        chosen = {addition for choice in front.choose(k) for addition in choice.additions}
        assert len(chosen) == k
        left = sum(n for some, n in demands if not {additions[one] for one in some} <= chosen)
        assert left + 5 == front.costs[k]


@pytest.mark.parametrize("seed", range(20))
def test_beam_is_never_better_and_its_points_are_not_dominated(seed):
    additions, demands = drawn(seed)
    beam = Front(0, pieces_of(additions, demands, "beam"))
    for k in beam.points.tolist():
        assert beam.costs[k] >= best(additions, demands, k)
    assert (np.diff(beam.costs[beam.points]) < 0).all()


def test_a_beam_is_blind_to_a_pair_that_pays_only_together():
    additions = [("A", one, 0) for one in range(5)]
    demands = [(frozenset({0}), 1), (frozenset({1}), 1), (frozenset({2}), 1), (frozenset({3, 4}), 50)]
    assert Front(0, pieces_of(additions, demands, "fixed")).costs[2] == 3
    assert Front(0, pieces_of(additions, demands, "beam")).costs[2] > 3


def test_single_additions_go_by_what_they_save():
    pieces = [Piece(np.array([save, 0]), (Choice(), Choice((("A", save, 0),)))) for save in (3, 9, 5)]
    front = Front(2, pieces)
    assert front.costs.tolist() == [19, 10, 5, 2]
    assert [a for choice in front.choose(2) for a in choice.additions] == [("A", 9, 0), ("A", 5, 0)]


def test_the_limit_ends_the_front():
    additions, demands = drawn(1)
    whole = Front(0, pieces_of(additions, demands, "fixed"))
    assert Front(0, pieces_of(additions, demands, "fixed", 2), 2).costs.tolist() == whole.costs[:3].tolist()


def test_merits_are_sums_over_the_chosen():
    additions, demands = drawn(4)
    front = Front(0, pieces_of(additions, demands, "fixed"))

    def merit(choice):
        return sum((-1) ** v * (v + 1) for _, v, _ in choice.additions)

    assert front.merits(merit).tolist() == [sum(map(merit, front.choose(k))) for k in front.points.tolist()]


def test_nothing_to_add():
    front = Front(7, [])
    assert front.costs.tolist() == [7]
    assert front.choose(0) == []
