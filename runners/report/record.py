"""What a run folder says, read for looking at: nothing here is written, and a missing part becomes a notice."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.report.order import in_order, overtaken
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.manifest import duration, moment

Scalars = dict[int, tuple[float | None, float | None]]
"""step -> (unix seconds, value); the value is None where it was not finite."""


@dataclass(slots=True)
class RunRecord:
    """One run, as its folder has it now."""

    path: Path
    name: str
    arm: str = ""
    """Which arm of a sweep it belongs to; "" outside a sweep."""
    manifest: dict[str, Any] = field(default_factory=dict)
    status: str = "unknown"
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    scalars: dict[str, Scalars] = field(default_factory=dict)
    histograms: dict[str, dict[int, tuple[list[float], list[float]]]] = field(default_factory=dict)
    """name -> step -> (counts, edges)."""
    pictures: dict[str, dict[int, tuple[Path, str]]] = field(default_factory=dict)
    """name -> step -> (file, caption)."""
    evals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By step."""
    notices: list[str] = field(default_factory=list)

    @property
    def began(self) -> float | None:
        """Unix seconds."""
        return moment(self.manifest.get("started")) or min(self._moments(), default=None)

    @property
    def seconds(self) -> float | None:
        """How long it took; of a run that was killed, until it last logged something. None if its clock was set."""
        return duration(self.manifest, max(self._moments(), default=None))

    def _moments(self) -> Iterator[float]:
        return (moment for scalars in self.scalars.values() for moment, _ in scalars.values() if moment is not None)


def read_run(path: Path, arm: str = "", label: str = "") -> RunRecord:
    """Read one run folder; `label` is what to call it instead of its folder's name.

    Raises:
        UserError: when the folder is no run.
    """
    if not (path / "manifest.json").is_file():
        raise UserError(
            f"{path} is no run (it has no manifest.json); name a folder that `agentlab train` or `agentlab sweep` wrote"
        )
    run = RunRecord(path, label or path.resolve().name, arm)
    run.manifest = _json(path / "manifest.json", run.notices)
    _read_config(run)
    _read_status(run)
    _read_metrics(run)
    _read_evals(run)
    return run


def _json(path: Path, notices: list[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as fault:
        notices.append(f"{path.name} cannot be read ({fault})")
        return {}
    return content if isinstance(content, dict) else {}


def _read_config(run: RunRecord) -> None:
    try:
        run.config_text = (run.path / "config.yaml").read_text("utf-8", errors="replace")
        config = yaml.safe_load(run.config_text)
    except FileNotFoundError:
        run.notices.append("config.yaml is missing")
    except yaml.YAMLError as fault:
        run.notices.append(f"config.yaml is not YAML ({str(fault).splitlines()[0]})")
    else:
        run.config = config if isinstance(config, dict) else {}


def _read_status(run: RunRecord) -> None:
    try:
        run.status = Run.open(run.path).status
    except (UserError, KeyError):
        run.status = str(run.manifest.get("status", "unknown"))
    if run.status == "running":
        run.notices.append("the run was still going on when this page was written")
    elif run.status in ("failed", "interrupted"):
        resume = f"`agentlab resume run={run.path}` goes on from its last checkpoint"
        error = run.path / "error.txt"
        lines = error.read_text("utf-8", errors="replace").strip().splitlines() if error.is_file() else []
        reason = f" with {lines[-1]}" if run.status == "failed" and lines else ""
        run.notices.append(f"the run {'failed' if run.status == 'failed' else 'was interrupted'}{reason}; {resume}")


def _lines(run: RunRecord) -> Iterator[dict[str, Any]]:
    path = run.path / "metrics.jsonl"
    if not path.is_file():
        run.notices.append("nothing was logged yet (there is no metrics.jsonl)")
        return
    torn = 0
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
            record["step"] = int(record["step"])
        except (ValueError, TypeError, KeyError):
            torn += 1
            continue
        yield record
    if torn:
        run.notices.append(f"{torn} torn line{'s' * (torn > 1)} of metrics.jsonl left out")


def _read_metrics(run: RunRecord) -> None:
    gaps: set[str] = set()
    lost: list[str] = []
    latest, set_back = run.began or 0.0, 0.0
    for record in _lines(run):
        step, at = record.pop("step"), record.pop("time", None)
        if isinstance(at, int | float):  # a clock that was set back stands still until the next line
            set_back = max(set_back, latest - at)
            latest = at = at + set_back
        for name, value in record.items():
            if isinstance(value, int | float):
                finite = math.isfinite(value)
                run.scalars.setdefault(name, {})[step] = (at, float(value) if finite else None)
                if not finite:
                    gaps.add(name)
            elif isinstance(value, dict) and {"counts", "edges"} <= value.keys():
                if len(value["edges"]) == len(value["counts"]) + 1 and all(map(math.isfinite, value["edges"])):
                    run.histograms.setdefault(name, {})[step] = (value["counts"], value["edges"])
            elif isinstance(value, dict) and "file" in value:
                file = run.path / str(value["file"])
                if file.is_file() and file.resolve().is_relative_to(run.path.resolve()):
                    run.pictures.setdefault(name, {})[step] = (file, str(value.get("caption", "")))
                else:
                    lost.append(str(value["file"]))
    if gaps:
        run.notices.append(f"not a finite number at some steps, which leaves gaps: {', '.join(sorted(gaps))}")
    if lost:
        run.notices.append(f"{len(lost)} pictures of metrics.jsonl are not in the folder, {lost[0]} the first")


def _read_evals(run: RunRecord) -> None:
    summaries = {file.stem: _json(file, run.notices) for file in sorted((run.path / "eval").glob("*.json"))}
    left = overtaken(summaries, run.manifest.get("resumed") or [])
    for name in left:
        run.notices.append(f"eval/{name}.json is of a course that the run left when it was resumed; it is left out")
    run.evals = {
        name: summaries[name]
        for name in in_order(summaries, run.scalars)
        if name not in left and summaries[name].get("episodes") is not None
    }
    if not run.evals:
        run.notices.append(f"there is no evaluation yet; `agentlab eval run={run.path}` makes one")
