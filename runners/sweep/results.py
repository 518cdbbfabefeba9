"""What a sweep found: one table of its arms, the same in Markdown, CSV and JSON, and their learning curves."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from agentlab_runner.runners.files.atomic import atomic_file, write_atomic
from agentlab_runner.runners.sweep.job import Record, Status, course, logged
from agentlab_runner.runners.sweep.plan import varied
from agentlab_runner.runners.terminal.curves import Curve, plot_curves
from agentlab_runner.runners.terminal.statistics import Difference, Interval, bootstrap_interval, paired_difference

FEW_SEEDS = 5
"""With fewer the bootstrap interval is known to be too narrow, and the table says so."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job and the metric's course in its run."""

    folder: Path
    record: Record
    arm: Mapping[str, str]
    """What was swept, without the seed."""
    seed: str
    curve: Mapping[int, float]
    """Value by step; empty if the run never logged the metric."""

    @property
    def finished(self) -> bool:
        return self.record.status is Status.FINISHED

    @property
    def last(self) -> float | None:
        return self.curve[max(self.curve)] if self.curve else None

    @property
    def first(self) -> float | None:
        """The first evaluation, before learning as a rule; None if there was only one."""
        return self.curve[min(self.curve)] if len(self.curve) > 1 else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and how sure it is."""

    mean: float
    interval: Interval | None
    """None for one seed."""
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self | None:
        return cls(sum(values) / len(values), bootstrap_interval(values), len(values)) if values else None

    def __str__(self) -> str:
        return _with_interval(f"{self.mean:.3g}", self.interval)


@dataclass(frozen=True, slots=True)
class Arm:
    """The finished jobs that differ in their seed alone."""

    values: Mapping[str, str]
    jobs: tuple[Job, ...]

    @property
    def label(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.values.items()) or "all"

    @property
    def last(self) -> Estimate | None:
        return Estimate.of([job.last for job in self.jobs if job.last is not None])

    @property
    def first(self) -> Estimate | None:
        return Estimate.of([job.first for job in self.jobs if job.first is not None])

    @property
    def gain(self) -> Estimate | None:
        """Last minus first evaluation of the same run."""
        pairs = [(job.first, job.last) for job in self.jobs]
        return Estimate.of([last - first for first, last in pairs if first is not None and last is not None])

    def versus(self, other: "Arm") -> Difference | None:
        """Last evaluation minus that of the other arm with the same seed."""
        return paired_difference(self._by_seed(), other._by_seed())

    def _by_seed(self) -> dict[str, float]:
        return {job.seed: job.last for job in self.jobs if job.last is not None}


@dataclass(frozen=True)
class Results:
    """Every job of a sweep folder, whichever command ran it."""

    metric: str
    jobs: tuple[Job, ...]

    @classmethod
    def read(cls, folder: Path, fixed: Sequence[str], metric: str) -> Self:
        """Read the job folders.

        Args:
            fixed: keys of the overrides that all jobs share; the other overrides of a job make its arm and its seed.
        """
        found = [_job(file.parent, fixed, metric) for file in folder.glob("jobs/*/job.json")]
        jobs = [job for job in found if job is not None]
        return cls(metric, tuple(sorted(jobs, key=lambda job: job.record.began)))

    @cached_property
    def arms(self) -> list[Arm]:
        """In the order in which they were begun, the seeds in order of their numbers."""
        found: dict[tuple[tuple[str, str], ...], list[Job]] = {}
        for job in self.jobs:
            found.setdefault(tuple(job.arm.items()), [])
            if job.finished:
                found[tuple(job.arm.items())].append(job)
        return [
            Arm(dict(values), tuple(sorted(jobs, key=lambda job: (len(job.seed), job.seed))))
            for values, jobs in found.items()
        ]

    @property
    def failed(self) -> list[Job]:
        return [job for job in self.jobs if job.record.status is Status.FAILED]

    @property
    def unfinished(self) -> list[Job]:
        return [job for job in self.jobs if job.record.status in (Status.INTERRUPTED, Status.RUNNING)]

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """The table's header and body as text: a column a swept key, then what came of it."""
        keys = list(dict.fromkeys(key for arm in self.arms for key in arm.values))
        compare = any(arm.versus(self.arms[0]) for arm in self.arms[1:])
        progress = any(arm.first for arm in self.arms)
        header = [*keys, "seeds", f"{self.metric} [95 %]"]
        header += ["at first", "gain"] if progress else []
        header += ["minus first row"] if compare else []
        body = []
        for arm in self.arms:
            row = [*(arm.values.get(key, "") for key in keys), str(len(arm.jobs)), _cell(arm.last)]
            row += [_cell(arm.first), _cell(arm.gain)] if progress else []
            row += [_difference(arm.versus(self.arms[0]) if arm is not self.arms[0] else None)] if compare else []
            body.append(row)
        return header, body

    def notes(self, folder: Path) -> str:
        """What the table does not say: how far to trust it, which jobs are missing, where everything is.

        Args:
            folder: of the sweep, as its files are named; `Path()` for a text that stays right where it is copied to.
        """
        lines = [f"{sum(job.finished for job in self.jobs)} of {len(self.jobs)} jobs finished"]
        if any(len(arm.jobs) == 1 for arm in self.arms):
            lines.append("A single seed has no interval.")
        if any(arm.versus(self.arms[0]) for arm in self.arms[1:]):
            lines.append("'minus first row' is the mean difference between runs of the same seed.")
        smallest = min((len(arm.jobs) for arm in self.arms if len(arm.jobs) > 1), default=FEW_SEEDS)
        if smallest < FEW_SEEDS:
            lines.append(
                f"Intervals are percentile bootstraps over seeds; with {smallest} seeds they are too narrow "
                f"(a 95 % interval from 3 seeds is their range, which holds the true mean about 3 times in 4)."
            )
        finished = [job for job in self.jobs if job.finished]
        if finished and all(job.last is None for job in finished):
            names = ", ".join(_logged(finished[0])) or "nothing"
            lines.append(f"No job logged {self.metric}; they logged {names} (see --metric).")
        lines += [
            f"failed: {_said(job)}: {job.record.error} (see {folder / 'jobs' / job.folder.name / 'error.txt'})"
            for job in self.failed
        ]
        lines += [f"unfinished: {_said(job)}; the same command goes on with it" for job in self.unfinished]
        where = "beside this file: " if folder == Path() else f"{folder}: table.md, "
        return "\n".join([*lines, f"{where}results.csv, results.json, curves.png"])

    def write(self, folder: Path) -> None:
        """Write table.md, results.csv, results.json and curves.png."""
        header, body = self.rows()
        cells = [header, ["---", *["---:"] * (len(header) - 1)], *body]
        table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells)
        write_atomic(folder / "table.md", f"{table}\n\n{self.notes(Path())}\n")
        write_atomic(folder / "results.csv", self._csv())
        write_atomic(folder / "results.json", json.dumps(self.as_dict(), indent=2) + "\n")
        curves = [Curve(arm.label, tuple(job.curve for job in arm.jobs if job.curve)) for arm in self.arms]
        with atomic_file(folder / "curves.png") as out:
            plot_curves(out, [curve for curve in curves if curve.runs], self.metric)

    def as_dict(self) -> dict[str, Any]:
        arms = [
            {
                "arm": dict(arm.values),
                "n": len(arm.jobs),
                "last": _plain(arm.last),
                "first": _plain(arm.first),
                "gain": _plain(arm.gain),
                "versus_first_arm": _plain(arm.versus(self.arms[0])) if arm is not self.arms[0] else None,
            }
            for arm in self.arms
        ]
        return {"metric": self.metric, "level": 0.95, "arms": arms, "jobs": [_row(job) for job in self.jobs]}

    def _csv(self) -> str:
        rows = [_row(job) for job in self.jobs]
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def _job(folder: Path, fixed: Sequence[str], metric: str) -> Job | None:
    record = Record.read(folder)
    if record is None:
        return None
    swept = varied(record.overrides, fixed)
    seed = swept.pop("seed", "")
    return Job(folder, record, swept, seed, course(folder, metric))


def _row(job: Job) -> dict[str, Any]:
    first, last = job.first, job.last
    return {
        **job.arm,
        "seed": job.seed,
        "status": str(job.record.status),
        "last": last,
        "first": first,
        "gain": last - first if last is not None and first is not None else None,
        "seconds": round(job.record.seconds, 1),
        "job": job.folder.name,
        "error": job.record.error,
    }


def _plain(value: Estimate | Difference | None) -> dict[str, Any] | None:
    return asdict(value) if value else None


def _cell(value: Estimate | None) -> str:
    return "-" if value is None else str(value)


def _difference(value: Difference | None) -> str:
    return "-" if value is None else _with_interval(f"{value.mean:+.3g}", value.interval)


def _with_interval(mean: str, interval: Interval | None) -> str:
    return f"{mean} [{interval.low:.3g}, {interval.high:.3g}]" if interval else mean


def _said(job: Job) -> str:
    varied = [f"{key}={value}" for key, value in job.arm.items()] + ([f"seed={job.seed}"] if job.seed else [])
    return " ".join(varied) or "the job"


def _logged(job: Job) -> list[str]:
    return sorted({name for line in logged(job.folder) for name in line} - {"step", "time"})
