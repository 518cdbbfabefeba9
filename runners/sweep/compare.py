"""`agentlab compare RUN RUN...`: runs side by side, with only those parts of their configs that differ."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from omegaconf import OmegaConf

from agentlab_runner.runners.config.identity import relevant
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import atomic_file
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.manifest import duration
from agentlab_runner.runners.run.metrics_file import is_finite
from agentlab_runner.runners.sweep.played import Played, rows_of
from agentlab_runner.runners.sweep.watch import clock
from agentlab_runner.runners.terminal.curves import Curve, plot_curves

log = logging.getLogger(__name__)

HEADLINE = "eval/success"
"""Compared unless another metric is asked for, where some run has it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is compared of one run."""

    path: Path
    label: str
    status: str
    config: Mapping[str, Any]
    """By dotted key, without what does not change the numbers."""
    commit: str
    """Short, with a plus behind it if the code was changed since; `unknown` outside a checkout."""
    seconds: float | None
    """How long it took; None if it has not ended, or its clock was set meanwhile and nothing else tells."""
    curves: Mapping[str, Mapping[int, float]]
    """Value by step, of every number the run logged."""
    tags: str = ""
    notes: str = ""
    played: Played = field(default_factory=Played)
    """The episodes of its newest evaluation."""

    @property
    def steps(self) -> int:
        """The last step anything was logged at."""
        return max((max(curve) for curve in self.curves.values()), default=0)

    @classmethod
    def read(cls, path: Path, label: str) -> Self:
        run = Run.open(path)
        curves: dict[str, dict[int, float]] = {}
        for line in run.metrics():
            for name, value in line.items():
                if name not in ("step", "time") and is_finite(value):
                    curves.setdefault(name, {})[line["step"]] = float(value)
        config = OmegaConf.to_container(run.config, resolve=True)
        assert isinstance(config, dict)
        git = run.manifest["git"]
        seconds = duration(run.manifest) if run.manifest["ended"] else None
        commit = f"{(git['commit'] or 'unknown')[:8]}{'+' if git['dirty'] else ''}"
        tags, notes = ", ".join(run.manifest.get("tags") or []), run.manifest.get("notes") or ""
        decisive = relevant({str(key): value for key, value in config.items()})
        return cls(path, label, run.status, decisive, commit, seconds, curves, tags, notes, Played.of(path))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side."""

    entries: tuple[Entry, ...]
    metrics: tuple[str, ...]
    """Those shown; the first is drawn."""

    @property
    def differences(self) -> dict[str, list[Any]]:
        """Config keys in which the runs differ, with the value in each run; None where it has no such key."""
        keys = sorted({key for entry in self.entries for key in entry.config})
        values = {key: [entry.config.get(key) for entry in self.entries] for key in keys}
        return {key: row for key, row in values.items() if any(value != row[0] for value in row[1:])}

    def rows(self) -> list[list[str]]:
        """The table: what episodes were like, a line a metric, config key or fact; a column a run, its name first."""
        rows = rows_of([entry.played for entry in self.entries])
        for metric in self.metrics:
            curves = [entry.curves.get(metric, {}) for entry in self.entries]
            rows.append([metric, *(f"{curve[max(curve)]:.4g}" if curve else "-" for curve in curves)])
            if metric == self.metrics[0]:
                rows.append(["  first", *(_at(curve, min(curve)) if curve else "-" for curve in curves)])
                rows.append(["  highest", *(_at(curve, _highest(curve)) if curve else "-" for curve in curves)])
        rows += [[key, *map(_value, values)] for key, values in self.differences.items()]
        rows.append(["steps", *(str(entry.steps) for entry in self.entries)])
        rows.append(["duration", *("-" if e.seconds is None else clock(e.seconds) for e in self.entries)])
        for fact in ("tags", "notes"):
            if any(getattr(entry, fact) for entry in self.entries):
                rows.append([fact, *(getattr(entry, fact) or "-" for entry in self.entries)])
        rows.append(["commit", *(entry.commit for entry in self.entries)])
        rows.append(["status", *(entry.status for entry in self.entries)])
        return rows

    def header(self) -> list[str]:
        return ["", *(entry.label for entry in self.entries)]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: the runs in order, each with its metrics, and the config keys that differ."""
        runs = [
            {
                "run": str(entry.path),
                "status": entry.status,
                "tags": entry.tags,
                "notes": entry.notes,
                "commit": entry.commit,
                "seconds": entry.seconds,
                "metrics": {name: _summary(entry.curves[name]) for name in self.metrics if name in entry.curves},
                "episode": entry.played.as_dict(),
                "against_first": {} if place == 0 else entry.played.differences(self.entries[0].played),
            }
            for place, entry in enumerate(self.entries)
        ]
        return {"runs": runs, "differences": self.differences}

    def plot(self, file: Path) -> None:
        """Draw the first metric of every run that logged it into a PNG."""
        metric = self.metrics[0]
        drawn = [Curve(entry.label, (entry.curves[metric],)) for entry in self.entries if metric in entry.curves]
        with atomic_file(file) as out:
            plot_curves(out, drawn, metric)


def compare(runs: Sequence[Path], metric: str | None = None) -> Comparison:
    """Put runs side by side.

    Args:
        runs: run folders, or sweep folders, which stand for all of their runs.
        metric: the one to compare; if None, `eval/success` where a run has it, and the other evaluation metrics.

    Raises:
        UserError: if there is no run, a folder holds none, or no run logged the metric.
    """
    paths = [run for path in runs for run in _runs(path)]
    if not paths:
        raise UserError("there is nothing to compare; name two run folders or more")
    entries = _entries(paths)
    logged = sorted({name for entry in entries for name in entry.curves})
    if metric is not None:
        if metric not in logged:
            raise UserError(f"no run logged {metric!r}; they logged: {', '.join(logged) or 'nothing'}")
        return Comparison(entries, (metric,))
    evaluated = [name for name in logged if name.startswith("eval/")] or logged
    shown = sorted(evaluated, key=lambda name: (name != HEADLINE, name.count("/"), name))
    return Comparison(entries, tuple(shown) or (HEADLINE,))


def _runs(path: Path) -> list[Path]:
    if not os.path.exists(path / "sweep.json"):  # a folder that cannot be looked into has none
        return [path]
    found = sorted(file.parent for file in path.glob("jobs/*/manifest.json"))
    if not found:
        raise UserError(f"{path} is a sweep none of whose jobs has begun; run it first")
    return found


def _entries(paths: Sequence[Path]) -> tuple[Entry, ...]:
    """What can be read of these runs; one that cannot is told of, and refused only if none is left."""
    entries, faults = [], []
    for path, label in zip(paths, _labels(paths), strict=True):
        try:
            entries.append(Entry.read(path, label))
        except UserError as fault:
            faults.append(fault)
    if not entries:
        raise faults[0]
    for left_out in faults:
        log.warning("left out: %s", left_out)
    return tuple(entries)


def _labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    resolved = [path.resolve() for path in paths]
    for depth in range(1, max(len(path.parts) for path in resolved) + 1):
        labels = ["/".join(path.parts[-depth:]) for path in resolved]
        if len(set(labels)) == len(set(resolved)):
            break
    return labels


def _highest(curve: Mapping[int, float]) -> int:
    return max(curve, key=lambda step: curve[step])


def _at(curve: Mapping[int, float], step: int) -> str:
    return f"{curve[step]:.4g} (step {step})"


def _summary(curve: Mapping[int, float]) -> dict[str, float]:
    highest = _highest(curve)
    return {
        "first": curve[min(curve)],
        "last": curve[max(curve)],
        "last_step": max(curve),
        "highest": curve[highest],
        "highest_step": highest,
    }


def _value(value: object) -> str:
    return "-" if value is None else str(value)
