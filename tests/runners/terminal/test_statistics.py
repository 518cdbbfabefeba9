import numpy as np
import pytest

from agentlab_runner.runners.terminal.statistics import bootstrap_interval, paired_difference, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # textbook values of the score interval
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_has_the_published_ends(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_is_symmetric_and_narrows() -> None:
    assert wilson_interval(3, 10).low == pytest.approx(1 - wilson_interval(7, 10).high)
    narrow, wide = wilson_interval(50, 100, level=0.5), wilson_interval(50, 100, level=0.99)
    assert wide.low < narrow.low < 0.5 < narrow.high < wide.high


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_wilson_interval_refuses_what_is_no_count(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="is not a count"):
        wilson_interval(successes, n)


def test_bootstrap_of_two_and_three_values_is_their_range() -> None:
    # A resample of three is all-lowest with probability 1/27 = 3.7 %, more than the tail of 2.5 %.
    assert bootstrap_interval([0.2, 0.5]) == (0.2, 0.5)
    assert bootstrap_interval([0.2, 0.3, 0.7]) == pytest.approx((0.2, 0.7))


def test_bootstrap_approaches_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, size=400)
    half = 1.96 * values.std() / np.sqrt(400)
    expected = (values.mean() - half, values.mean() + half)
    assert bootstrap_interval(values.tolist()) == pytest.approx(expected, abs=0.02)


def test_bootstrap_covers_as_often_as_documented() -> None:
    # Three seeds from a normal distribution: 1 - 2 * (1/2)^3 = 75 % of ranges hold the median, which is the mean.
    draws = np.random.default_rng(1).normal(size=(400, 3))
    intervals = [bootstrap_interval(list(row), resamples=1000) for row in draws]
    covered = np.mean([interval is not None and interval.low <= 0 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.75, abs=0.06)


def test_one_value_has_no_interval_and_equal_values_an_empty_one() -> None:
    assert bootstrap_interval([0.4]) is None
    assert bootstrap_interval([0.4, 0.4, 0.4]) == pytest.approx((0.4, 0.4))


def test_bootstrap_depends_on_its_seed_alone() -> None:
    values = [0.1, 0.4, 0.2, 0.9, 0.5, 0.3]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3, resamples=50) != bootstrap_interval(values, seed=4, resamples=50)


@pytest.mark.parametrize("values", [[], [0.1, float("nan")], [float("inf")]])
def test_bootstrap_refuses_what_has_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one, all finite"):
        bootstrap_interval(values)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_level_is_a_share(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap_interval([0.1, 0.2], level=level)
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson_interval(1, 2, level=level)


def test_paired_difference_removes_what_the_pairs_share() -> None:
    control = {"0": 0.1, "1": 0.5, "2": 0.9}
    treatment = {seed: value + 0.2 for seed, value in control.items()}
    difference = paired_difference(treatment, control)
    assert difference is not None
    assert difference.mean == pytest.approx(0.2)
    assert difference.interval == pytest.approx((0.2, 0.2))  # unpaired it would span the seeds' spread of 0.8


def test_paired_difference_leaves_out_units_of_one_side() -> None:
    difference = paired_difference({"0": 1.0, "7": 50.0}, {"0": 0.5, "1": 9.0})
    assert difference is not None
    assert (difference.mean, difference.n, difference.interval) == (0.5, 1, None)
    assert paired_difference({"0": 1.0}, {"1": 1.0}) is None
