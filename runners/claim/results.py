"""What a claim's runs showed: arms, paired differences with intervals, and one word."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import Any

from agentlab_runner.runners.claim.settings import ClaimSettings, ExpectSettings
from agentlab_runner.runners.files.atomic import atomic_file, write_atomic
from agentlab_runner.runners.sweep.watch import clock
from agentlab_runner.runners.terminal.curves import Curve, plot_curves
from agentlab_runner.runners.terminal.statistics import Interval, student_interval

Table = tuple[list[str], list[list[str]]]


class Verdict(StrEnum):
    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm in one setting."""

    setting: str
    arm: str
    tuned: Mapping[str, Any]
    """The values chosen on the tuning seeds."""
    values: Mapping[int, float]
    """The reduced metric by seed."""
    curves: Sequence[Mapping[int, float]]
    """By step, one a finished run."""
    seconds: Sequence[float]
    """Wall time of each run."""
    cpu_seconds: Sequence[float]
    """Of all cores, of each run."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One expectation in one setting: the difference of two arms, or of one to a number, over the seeds finished."""

    setting: str
    expected: ExpectSettings
    difference: float | None
    interval: Interval | None
    """Student's, of the differences; None for fewer than two."""
    n: int

    @property
    def verdict(self) -> Verdict:
        if self.interval is None:
            return Verdict.UNDECIDED
        if (within := self.expected.within) is not None:
            if -within <= self.interval.low and self.interval.high <= within:
                return Verdict.SUPPORTED
            apart = self.interval.low > within or self.interval.high < -within
            return Verdict.CONTRADICTED if apart else Verdict.UNDECIDED
        if self.interval.low > self.expected.margin:
            return Verdict.SUPPORTED
        return Verdict.CONTRADICTED if self.interval.high < self.expected.margin else Verdict.UNDECIDED


@dataclass(frozen=True, slots=True)
class ClaimResults:
    """Every arm in every setting."""

    claim: ClaimSettings
    arms: Sequence[ArmResult]
    failed: Sequence[str]
    """What went wrong in failed runs, those that tune included."""
    unfinished: int = 0
    """How many runs were told to end."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Under what their evaluations were played, as the environment says."""

    @property
    def comparisons(self) -> list[Comparison]:
        found = {(arm.setting, arm.arm): arm.values for arm in self.arms}
        return [
            _compare(setting, expected, found[setting, expected.arm], _other(setting, expected, found))
            for setting in self.claim.settings
            for expected in self.claim.expect
        ]

    @property
    def verdict(self) -> Verdict:
        """Supported if every comparison is, contradicted as soon as one is; a missing seed leaves it undecided."""
        verdicts = {comparison.verdict for comparison in self.comparisons}
        if Verdict.CONTRADICTED in verdicts:
            return Verdict.CONTRADICTED
        whole = all(comparison.n == len(self.claim.seeds) for comparison in self.comparisons)
        return Verdict.SUPPORTED if verdicts == {Verdict.SUPPORTED} and whole else Verdict.UNDECIDED

    def verdict_line(self) -> str:
        missing = sum(len(self.claim.seeds) - len(arm.values) for arm in self.arms)
        notes = [f"{missing} of {len(self.arms) * len(self.claim.seeds)} values are missing"] if missing else []
        notes += [f"a run failed: {error}" for error in self.failed]
        if self.unfinished:
            notes.append(f"runs that were interrupted, which the same command goes on with: {self.unfinished}")
        return "; ".join([f"{self.verdict}: {self.claim.says} ({self.claim.source})", *notes])

    def tables(self) -> list[tuple[str, Table]]:
        """Title, header and body of the table of arms and of the table of differences."""
        over = f" over {self.claim.over.metric}" if self.claim.over else ""
        under = ", ".join(f"{name} {value}" for name, value in self.conditions.items())
        title = f"{self.claim.reduce} {self.claim.metric}{over}{under and f' ({under})'}"
        return [(title, self._arms()), ("paired differences", self._differences())]

    def _arms(self) -> Table:
        header = ["setting", "arm", "tuned", "seeds", "mean [95 %]", "a run took", "CPU time"]
        rows = [
            [
                arm.setting,
                arm.arm,
                ", ".join(f"{name}={value}" for name, value in arm.tuned.items()) or "-",
                str(len(arm.values)),
                _estimate(list(arm.values.values())),
                clock(fmean(arm.seconds)) if arm.seconds else "-",
                clock(fmean(arm.cpu_seconds)) if any(arm.cpu_seconds) else "-",
            ]
            for arm in self.arms
        ]
        return header, rows

    def _differences(self) -> Table:
        header = ["setting", "expected", "seeds", "difference [95 %]", "verdict"]
        return header, [
            [c.setting, _expectation(c.expected), str(c.n), _signed(c), str(c.verdict)] for c in self.comparisons
        ]

    def write(self, folder: Path) -> None:
        """Write table.md, results.json and a picture of the learning curves for each setting that has any."""
        parts = [f"{title}\n\n{_markdown(table)}" for title, table in self.tables()]
        note = "Intervals are Student's over seeds; differences are between runs of the same seed."
        write_atomic(folder / "table.md", "\n\n".join([*parts, note, f"**{self.verdict_line()}**"]) + "\n")
        write_atomic(folder / "results.json", json.dumps(self.as_dict(), indent=2) + "\n")
        for setting in self.claim.settings:
            curves = [Curve(a.arm, tuple(a.curves)) for a in self.arms if a.setting == setting and a.curves]
            if any(len(run) > 1 for curve in curves for run in curve.runs):
                axis = self.claim.over.metric if self.claim.over else "step"
                with atomic_file(folder / f"curves-{setting}.png") as out:
                    plot_curves(out, curves, self.claim.metric, axis)

    def as_dict(self) -> dict[str, Any]:
        return {
            "claim": self.claim.model_dump(),
            "verdict": str(self.verdict),
            "arms": [asdict(arm) for arm in self.arms],
            "comparisons": [
                {**asdict(c), "expected": c.expected.model_dump(), "verdict": str(c.verdict)} for c in self.comparisons
            ],
            "failed": list(self.failed),
            "conditions": dict(self.conditions),
        }


def _other(
    setting: str, expected: ExpectSettings, found: Mapping[tuple[str, str], Mapping[int, float]]
) -> Mapping[int, float]:
    """What an arm is compared with, by seed: another arm, or the same number for every seed."""
    if expected.others:
        return found[setting, expected.others[0]]
    assert isinstance(expected.equals, float | int)
    return dict.fromkeys(found[setting, expected.arm], float(expected.equals))


def _compare(
    setting: str, expected: ExpectSettings, arm: Mapping[int, float], other: Mapping[int, float]
) -> Comparison:
    differences = [arm[seed] - other[seed] for seed in sorted(arm.keys() & other.keys())]
    mean = fmean(differences) if differences else None
    return Comparison(setting, expected, mean, student_interval(differences), len(differences))


def _estimate(values: Sequence[float]) -> str:
    if not values:
        return "-"
    interval = student_interval(values)
    return f"{fmean(values):.3g}" + (f" [{interval.low:.3g}, {interval.high:.3g}]" if interval else "")


def _signed(comparison: Comparison) -> str:
    if comparison.difference is None:
        return "-"
    interval = comparison.interval
    return f"{comparison.difference:+.3g}" + (f" [{interval.low:+.3g}, {interval.high:+.3g}]" if interval else "")


def _expectation(expected: ExpectSettings) -> str:
    if expected.equals is not None:
        return f"{expected.arm} = {expected.equals} +- {expected.within:g}"
    margin = f" {'+' if expected.margin > 0 else '-'} {abs(expected.margin):g}" if expected.margin else ""
    return f"{expected.arm} > {expected.above}{margin}"


def _markdown(table: Table) -> str:
    header, body = table
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *body])
