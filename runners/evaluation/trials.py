"""What further trials of failed tasks bring, beside the first, which alone compares with other agents."""

from collections.abc import Sequence
from typing import Any

from agentlab_runner.runners.online.evaluation import Line
from agentlab_runner.runners.terminal.statistics import wilson_interval
from agentlab_runner.runners.types import StopReason, Table


def by_trial(lines: Sequence[Line], trials: int, starts: int) -> list[dict[str, Any]]:
    """For each trial how many of the starts were solved in it or before; empty where there is one alone.

    Args:
        lines: of all trials; the number of a start's episode in trial t is that of its first plus t times `starts`.

    Returns:
        `[{"trial", "played", "solved", "starts", "rate", "interval": [low, high]}]`, over the starts whose first trial
        counts; intervals are Wilson 95 %.
    """
    counted = {line["number"] for line in lines if line["trial"] == 0 and StopReason(line["stop"]).counts}
    if trials < 2 or not counted:
        return []
    rows: list[dict[str, Any]] = []
    solved: set[int] = set()
    for trial in range(trials):
        played = [line for line in lines if line["trial"] == trial and line["number"] % starts in counted]
        solved |= {line["number"] % starts for line in played if line["success"]}
        interval = wilson_interval(len(solved), len(counted))
        counts = {"trial": trial + 1, "played": len(played), "solved": len(solved), "starts": len(counted)}
        rows.append(counts | {"rate": len(solved) / len(counted), "interval": [interval.low, interval.high]})
    return rows


def trials_table(rows: Sequence[dict[str, Any]]) -> Table:
    """A row a trial."""
    columns = ("trials", "played", "solved", "success [95 %]")
    told = [f"{row['rate']:.3g} [{row['interval'][0]:.2f}, {row['interval'][1]:.2f}]" for row in rows]
    lines = ((row["trial"], row["played"], row["solved"], text) for row, text in zip(rows, told, strict=True))
    return Table(columns, tuple(lines))
