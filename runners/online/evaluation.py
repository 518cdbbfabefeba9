"""What a set of evaluation episodes says: success by task and level, with intervals."""

from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import Any

from agentlab_runner.runners.terminal.statistics import wilson_interval
from agentlab_runner.runners.types import Metrics, StopReason, Trajectory


def summarise(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """Success, return and length over all episodes, by task and by level of difficulty.

    Episodes whose device was lost are counted apart: they say nothing about the policy.

    Returns:
        `{"episodes", "success", "interval": [low, high], "return", "return_std", "length", "device_lost",
        "tasks": {name: {...}}, "levels": {level: {...}}}`;
        intervals are Wilson 95 %, the standard deviation is over the episodes; rates are None when no episode counts.
    """
    counted = [trajectory for trajectory in trajectories if trajectory.stop is not StopReason.DEVICE_LOST]
    tasks = {
        name: _rates([trajectory for trajectory in counted if trajectory.task == name])
        for name in sorted({trajectory.task for trajectory in counted})
    }
    levels = {
        str(level): _rates([trajectory for trajectory in counted if trajectory.level == level])
        for level in sorted({trajectory.level for trajectory in counted} - {0})
    }
    lost = len(trajectories) - len(counted)
    return {**_rates(counted), "device_lost": lost, "tasks": tasks, "levels": levels}


def _rates(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    count = len(trajectories)
    if not count:
        return dict.fromkeys(("success", "interval", "return", "return_std", "length")) | {"episodes": 0}
    wins = sum(trajectory.success for trajectory in trajectories)
    interval = wilson_interval(wins, count)
    returns = [trajectory.episode_return for trajectory in trajectories]
    return {
        "episodes": count,
        "success": wins / count,
        "interval": [interval.low, interval.high],
        "return": fmean(returns),
        "return_std": pstdev(returns),
        "length": fmean(len(trajectory.steps) for trajectory in trajectories),
    }


def headline(summary: dict[str, Any], prefix: str) -> Metrics:
    """The scalars of a summary as metrics: `PREFIX/success`, `PREFIX/return`, ..., `PREFIX/task/NAME`."""
    if not summary["episodes"]:
        return {f"{prefix}/device_lost": float(summary["device_lost"])}
    names = ("success", "return", "return_std", "length", "device_lost")
    scalars = {f"{prefix}/{name}": float(summary[name]) for name in names}
    return scalars | {f"{prefix}/task/{name}": float(rates["success"]) for name, rates in summary["tasks"].items()}
