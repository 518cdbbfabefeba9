"""How sure a handful of seeds or episodes makes one: bootstrap and Wilson intervals, paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """Two ends, in the unit of the values they were made from."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of `treatment - control` over the units both were measured on."""

    mean: float
    interval: Interval | None
    """None where a single pair says nothing of the spread."""
    n: int
    """Number of pairs."""


def bootstrap_interval(
    values: Sequence[float], *, seed: int = 0, level: float = 0.95, resamples: int = 10_000
) -> Interval | None:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13).

    With n values the interval cannot leave their range, so for few seeds it covers the true mean less often than
    `level` says: it is the range itself for n = 2 and 3, which covers a symmetric mean about 50 % and 75 % of the time.

    Args:
        values: one a seed, finite.
        seed: of the resampling, so that the same values give the same interval.
        level: in (0, 1).
        resamples: number of bootstrap samples.

    Returns:
        The interval, or None for a single value, which says nothing of the spread.

    Raises:
        ValueError: if there is no value, one is not finite, or `level` is outside (0, 1).
    """
    _check_level(level)
    data = _finite(values)
    if len(data) == 1:
        return None
    drawn = np.random.default_rng(seed).integers(len(data), size=(resamples, len(data)))
    tail = (1 - level) / 2
    low, high = np.quantile(data[drawn].mean(axis=1), [tail, 1 - tail])
    return Interval(float(low), float(high))


def student_interval(values: Sequence[float], *, level: float = 0.95) -> Interval | None:
    """Student's interval of the mean: right for few values of a roughly normal kind, where the bootstrap is too narrow.

    Returns:
        The interval, or None for fewer than two values, which say nothing of the spread.

    Raises:
        ValueError: if a value is not finite, or `level` is outside (0, 1).
    """
    from scipy.stats import t

    _check_level(level)
    if len(values) < 2:
        return None
    data = _finite(values)
    half = float(t.ppf((1 + level) / 2, len(data) - 1)) * float(data.std(ddof=1)) / sqrt(len(data))
    return Interval(float(data.mean()) - half, float(data.mean()) + half)


def paired_difference(
    treatment: Mapping[str, float], control: Mapping[str, float], *, seed: int = 0, level: float = 0.95
) -> Difference | None:
    """Mean difference over the units both sides share, with a bootstrap interval of the differences.

    Args:
        treatment: value by unit (a seed, a task).
        control: the same; units found on one side only are left out.

    Returns:
        The difference, or None if no unit is shared.
    """
    shared = sorted(treatment.keys() & control.keys())
    if not shared:
        return None
    differences = [treatment[unit] - control[unit] for unit in shared]
    interval = bootstrap_interval(differences, seed=seed, level=level)
    return Difference(float(np.mean(differences)), interval, len(shared))


def wilson_interval(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Interval of a success rate from `n` independent episodes (Wilson 1927, the score interval).

    Unlike the normal approximation it stays inside [0, 1] and is not empty at 0 or n successes.

    Raises:
        ValueError: if `n` is below 1, `successes` outside 0..n, or `level` outside (0, 1).
    """
    _check_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} is not a count; expected 0 <= successes <= n and n >= 1")
    z = NormalDist().inv_cdf(1 - (1 - level) / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # The ends are exact at 0 and n successes; rounding would leave them a hair outside [0, 1].
    return Interval(0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a number between 0 and 1, such as 0.95")


def _finite(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if not values or not all(isfinite(value) for value in values):
        raise ValueError(f"values are {list(values)}; expected at least one, all finite")
    return np.asarray(values, dtype=np.float64)
