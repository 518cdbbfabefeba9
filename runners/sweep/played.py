"""What an episode of a run's newest evaluation was like, beside other runs', on the same starts if there are."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, Self

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.online.evaluation import Line, lines_in
from agentlab_runner.runners.run.metrics_file import is_finite
from agentlab_runner.runners.terminal.statistics import (
    Difference,
    Interval,
    bootstrap_interval,
    paired_difference,
    wilson_interval,
)
from agentlab_runner.runners.types import StopReason

log = logging.getLogger(__name__)

SHOWN = {
    "success": "success", "tokens in": "tokens_in", "tokens out": "tokens_out", "calls": "calls", "cost": "cost",
    "seconds": "seconds",
}  # fmt: skip
"""Of an episode, by what the row is called; all but success where a model was asked."""


@dataclass(frozen=True)
class Played:
    """The episodes that count."""

    lines: Sequence[Line] = ()

    @classmethod
    def of(cls, run: Path) -> Self:
        """Those of its newest evaluation, of one made apart where there is no other; none where there is no file."""
        newest: tuple[tuple[Any, ...], list[Line]] = ((False, -1, 0.0), [])
        for file in sorted((run / "eval").glob("*.json")):
            try:
                summary = read_object(run, f"eval/{file.name}")
            except (UserError, FileNotFoundError) as fault:
                log.warning("left out: %s", fault)
                continue
            place = (summary.get("apart") is not True, summary.get("step"), summary.get("time"))
            lines = lines_in(summary)
            if lines and all(map(is_finite, place)) and place >= newest[0]:
                newest = (place, lines)
        return cls([line for line in newest[1] if StopReason(line["stop"]).counts])

    @property
    def asked(self) -> bool:
        """Whether a model was asked."""
        return any(line["calls"] for line in self.lines)

    def values(self, key: str) -> list[float]:
        return [float(line[key]) for line in self.lines]

    @cached_property
    def starts(self) -> Mapping[str, Sequence[Line]]:
        """By task and seed; of repeats several."""
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            found.setdefault(f"{line['task']}\0{line['seed']}", []).append(line)
        return found

    def by_start(self, key: str) -> dict[str, float]:
        """The mean of repeats, by task and seed."""
        return {start: fmean(float(line[key]) for line in lines) for start, lines in self.starts.items()}

    def interval(self, key: str) -> Interval | None:
        """95 %: Wilson's of success, bootstrapped over the episodes of anything else."""
        values = self.values(key)
        return wilson_interval(int(sum(values)), len(values)) if key == "success" else bootstrap_interval(values)

    def against(self, other: "Played", key: str) -> Difference | None:
        """This less the other, on the starts that both played."""
        return paired_difference(self.by_start(key), other.by_start(key))

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: mean and interval of everything shown."""
        if not self.lines:
            return {}
        shown = {key: {"mean": fmean(self.values(key)), "interval": self.interval(key)} for key in self._keys()}
        return {"episodes": len(self.lines), **shown}

    def differences(self, other: "Played") -> dict[str, Any]:
        """For `--json`: what `against` says of everything shown."""
        found = {key: self.against(other, key) for key in self._keys()}
        return {
            key: {"difference": one.mean, "interval": one.interval, "starts": one.n}
            for key, one in found.items()
            if one is not None
        }

    def _keys(self) -> list[str]:
        return [key for key in SHOWN.values() if key == "success" or self.asked]


def rows_of(played: Sequence[Played]) -> list[list[str]]:
    """A row for each thing shown and, below it, the paired difference of every run to the first."""
    if not any(one.lines for one in played):
        return []
    rows = [["episodes", *(str(len(one.lines)) if one.lines else "-" for one in played)]]
    for name, key in SHOWN.items():
        if key != "success" and not any(one.asked for one in played):
            break
        title = name if key == "success" else f"{name}, an episode"
        rows.append([title, *(_mean(one, key) for one in played)])
        differences = [one.against(played[0], key) for one in played[1:]]
        if any(differences):
            rows.append(["  than the first, on the same starts", "", *map(_difference, differences)])
    return rows


def _mean(played: Played, key: str) -> str:
    if not played.lines:
        return "-"
    return f"{fmean(played.values(key)):.4g}{_between(played.interval(key), '.4g')}"


def _difference(one: Difference | None) -> str:
    return "-" if one is None else f"{one.mean:+.4g}{_between(one.interval, '+.4g')} of {one.n}"


def _between(interval: Interval | None, form: str) -> str:
    return f" [{interval.low:{form}}, {interval.high:{form}}]" if interval else ""
