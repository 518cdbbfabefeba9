"""What speaks for an addition: how often errors alone repeat a value, and all candidates judged together."""

from collections.abc import Sequence

import numpy as np
import pytest

from agentlab_runner.data_cleaning.repairs.candidates import FALSE, Candidates, _chance, find_candidates
from agentlab_runner.data_cleaning.repairs.classes import Classes
from agentlab_runner.data_cleaning.repairs.senses import assign
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.conftest import make_ontology, make_table


def supported(chance: Sequence[float], typo: Sequence[int] = (), forbidden: Sequence[int] = ()) -> list[int]:
    """Which of some candidates are supported, given only what decides it."""
    numbers = np.arange(len(chance))
    nearest = (None,) * len(chance)
    found = Candidates(numbers, numbers, numbers, np.isin(numbers, typo), nearest, np.array(chance),
                       ~np.isin(numbers, forbidden), 1)  # fmt: skip
    return np.flatnonzero(found.supported).tolist()


def test_benjamini_and_hochberg():
    # thresholds .04 .08 .12 .16 .20: the third smallest is above its own, but the fourth is not, and takes it along
    assert supported([0.01, 0.9, 0.05, 0.13, 0.14]) == [0, 2, 3, 4]
    assert supported([0.05, 0.9, 0.9, 0.9, 0.9]) == []
    assert supported([FALSE]) == [0]
    assert supported([]) == []


def test_what_may_not_be_added_is_not_supported_and_does_not_count():
    assert supported([0.15, 0.15]) == [0, 1]
    assert supported([0.15, 0.9]) == []
    assert supported([0.15, 0.9], typo=[1]) == [0]
    assert supported([0.15, 0.9], forbidden=[1]) == [0]
    assert supported([0.01, 0.01], typo=[1]) == [0]


@pytest.mark.parametrize(("others", "mean"), [([], 1.25), ([1, 1, 1], 4.25 / 4), ([1, 2, 4, 3], 11.25 / 5)])
def test_a_value_is_judged_by_how_often_the_others_of_its_kind_repeat(others, mean):
    for count in (1, 2, 4):
        found = _chance(np.zeros(len(others) + 1, dtype=np.int64), np.array([*others, count]))
        assert found[-1] == pytest.approx((1 - 1 / mean) ** (count - 1))


def test_values_as_frequent_are_judged_alike():
    assert len(set(_chance(np.zeros(6, dtype=np.int64), np.array([2, 1, 2, 1, 2, 1])).tolist())) == 2


def test_names_are_not_what_errors_are_told_by():
    kind, count = np.array([0] * 12 + [1]), np.array([1] * 10 + [40, 60, 9])
    chance = _chance(kind, count)
    assert chance[10] == pytest.approx(_chance(kind[:11], count[:11])[10])  # beside a name as without it
    assert chance[12] == pytest.approx(_chance(kind[12:], count[12:])[0])  # each kind for itself
    assert (chance[:10] == 1).all()
    assert chance[11] < chance[10] < 1e-3


@pytest.mark.parametrize(("kinds", "errors", "once"), [(30, 10, 0.8), (30, 10, 0.5), (120, 5, 0.7), (1, 10, 0.8)])
def test_few_of_what_is_taken_for_names_are_errors(kinds, errors, once):
    """A fifth were m known; it is estimated, on few values where there are many kinds."""
    false, found = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        kind = np.repeat(np.arange(kinds), errors + 1)
        name = np.arange(len(kind)) % (errors + 1) == errors
        count = np.where(name, rng.integers(12, 40, len(kind)), rng.geometric(once, len(kind)))
        taken = np.isin(np.arange(len(kind)), supported(_chance(kind, count).tolist()))
        false.append((taken & ~name).sum() / max(1, taken.sum()))
        found.append(taken[name].mean())
    assert np.mean(false) < 0.37
    assert np.mean(found) > 0.95


def test_candidates_are_what_a_class_lacks_and_errors_that_mean_something_are_judged_apart():
    errors = [letter * 6 for letter in "abcdefghijklmnopqrst"]  # far from one another
    given = make_table({"K": ["k"] * 58, "A": ["name"] * 20 + ["other name"] * 12 + ["foreign"] * 6 + errors})
    classes = Classes.build(given, [OFD(("K",), "A")], make_ontology("A", {"c": ["name"], "d": ["foreign"]}))
    found = find_candidates(classes, np.arange(1), assign(classes))
    texts = [classes.readings.texts[value] for value in found.value.tolist()]
    assert sorted(texts) == sorted(["other name", "foreign", *errors])
    chance = dict(zip(texts, found.chance.tolist(), strict=True))
    assert chance["aaaaaa"] == 1
    assert chance["foreign"] == pytest.approx(0.2**5)  # alone of its kind
    assert chance["other name"] < 1e-6
