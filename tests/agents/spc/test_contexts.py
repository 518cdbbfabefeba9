"""Clusters keep their numbers, and grow again from what was seen."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from agentlab_runner.agents.spc.contexts import Contexts

CENTRES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])


def stream(count, seed=0):
    rng = np.random.default_rng(seed)
    which = rng.integers(3, size=count)
    which[:6] = [0, 1, 2, 0, 1, 2]
    return which, CENTRES[which] + 0.3 * rng.standard_normal((count, 2))


def test_a_cluster_keeps_its_number():
    which, rows = stream(90)
    contexts, found = Contexts(3, 0.5, 50, stable=True), []
    for row in rows:
        contexts.add(row)
        found.append(contexts.active)
    pairs = {(int(own), got) for own, got in zip(which[6:], found[6:], strict=True)}
    assert len(pairs) == 3


def test_as_released_numbers_are_those_of_the_library():
    from sklearn.cluster import Birch

    _, rows = stream(60, seed=4)
    contexts, plain = Contexts(3, 0.5, 50, stable=False), Birch(n_clusters=3)
    for number, row in enumerate(rows):
        contexts.add(row)
        if number == 5:
            plain.partial_fit(rows[:6])
        if number > 5:
            plain.partial_fit(row[None])
            assert contexts.active == plain.predict(row[None])[0]


@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("at", [3, 6, 7, 40])
def test_restored_it_goes_on_the_same(stable, at):
    _, rows = stream(80, seed=2)
    whole = Contexts(3, 0.2, 4, stable)
    for row in rows[:at]:
        whole.add(row)
    again = Contexts(3, 0.2, 4, stable)
    again.restore(whole.seen.copy(), whole.centres.copy(), whole.active)
    for row in rows[at:]:
        whole.add(row)
        again.add(row)
        assert again.active == whole.active
    assert_array_equal(again.centres, whole.centres)


def test_equal_contexts_are_one_cluster_and_no_fault():
    contexts = Contexts(3, 0.5, 50, stable=True)
    for _ in range(20):
        contexts.add(np.ones(4))
    assert contexts.active in (0, 1, 2)
