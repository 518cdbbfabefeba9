"""What repeats of the same start say: the best and the worst of k."""

from collections.abc import Callable, Mapping, Sequence
from math import comb
from statistics import fmean
from typing import Any

from agentlab_runner.runners.online.evaluation import Line
from agentlab_runner.runners.terminal.statistics import bootstrap_interval
from agentlab_runner.runners.types import StopReason, Table

Rate = dict[str, Any]
"""`{"rate", "interval": [low, high] or None, "starts"}`."""


def pass_at(k: int, wins: int, n: int) -> float:
    """Chance that at least one of k of the n episodes succeeded (Chen et al. 2021, arXiv 2107.03374, equation 1)."""
    return 1 - comb(n - wins, k) / comb(n, k)


def worst_of(k: int, wins: int, n: int) -> float:
    """Chance that all of k of the n episodes succeeded (pass^k of tau-bench, arXiv 2406.12045)."""
    return comb(wins, k) / comb(n, k)


def best_and_worst(lines: Sequence[Line], repeats: int) -> dict[str, dict[str, Rate]]:
    """Both by k, over the starts that have k episodes which count; intervals are 95 %, bootstrapped over the starts.

    Returns:
        `{"pass": {"1": {...}, ...}, "worst": {...}}`; empty where nothing is repeated.
    """
    if repeats < 2:
        return {}
    played: dict[int, list[bool]] = {}
    for line in lines:
        if StopReason(line["stop"]).counts:
            played.setdefault(line["number"] // repeats, []).append(line["success"])
    groups = [(sum(outcomes), len(outcomes)) for outcomes in played.values()]
    sizes = [k for k in range(1, repeats + 1) if any(n >= k for _, n in groups)]
    measures = {"pass": pass_at, "worst": worst_of}
    return {name: {str(k): _rate(measure, k, groups) for k in sizes} for name, measure in measures.items()}


def headline(repeated: Mapping[str, Mapping[str, Rate]]) -> dict[str, float]:
    """`eval/pass@K` and `eval/worst@K`."""
    return {f"eval/{name}@{k}": rate["rate"] for name, by_k in repeated.items() for k, rate in by_k.items()}


def table(repeated: Mapping[str, Mapping[str, Rate]]) -> Table:
    """A row for each k."""
    rows = [
        (int(k), rate["starts"], _told(rate), _told(repeated["worst"][k])) for k, rate in repeated["pass"].items()
    ]
    return Table(("k", "starts", "pass@k [95 %]", "worst of k [95 %]"), tuple(rows))


def _rate(measure: Callable[[int, int, int], float], k: int, groups: Sequence[tuple[int, int]]) -> Rate:
    values = [measure(k, wins, n) for wins, n in groups if n >= k]
    interval = bootstrap_interval(values)
    return {"rate": fmean(values), "interval": interval and list(interval), "starts": len(values)}


def _told(rate: Rate) -> str:
    interval = rate["interval"]
    return f"{rate['rate']:.3g}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")
