"""Which runs a report is of: run folders as they are, sweep folders job by job."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runners.errors import UserError
from runners.report.record import RunRecord, read_run


def find_runs(paths: Sequence[Path]) -> tuple[list[RunRecord], list[str]]:
    """The runs behind these paths, and what has to be said of those that are none yet.

    Raises:
        UserError: when a path is neither a run nor a sweep, or no run is left.
    """
    records: list[RunRecord] = []
    notices: list[str] = []
    for path in dict.fromkeys(path.resolve() for path in paths):
        if (path / "sweep.json").is_file():
            records += _sweep_runs(path, notices)
        else:
            records.append(read_run(path))
    if not records:
        raise UserError(f"no job of {paths[0]} has begun; `agentlab sweep` with the same overrides runs what is missing")
    return records, notices


def _sweep_runs(path: Path, notices: list[str]) -> list[RunRecord]:
    """The runs of a sweep, arm by arm, each arm by seed."""
    jobs = {folder: _overrides(folder) for folder in sorted((path / "jobs").glob("*")) if folder.is_dir()}
    shared = set.intersection(*(set(overrides) for overrides in jobs.values())) if len(jobs) > 1 else set()
    records = []
    for folder, overrides in jobs.items():
        varied = [override for override in overrides if override not in shared]
        arm = " ".join(override for override in varied if not override.startswith("seed=")) or "one arm"
        label = " ".join(override.split(".")[-1] for override in varied) or folder.name
        if (folder / "manifest.json").is_file():
            records.append(read_run(folder, arm=arm, label=label))
        else:
            notices.append(f"{label} has no run: {_failure(folder)}")
    return sorted(records, key=lambda run: (run.arm, run.manifest.get("seed") or 0))


def _job(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "job.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _overrides(folder: Path) -> list[str]:
    return [str(override) for override in _job(folder).get("overrides", [])]


def _failure(folder: Path) -> str:
    job = _job(folder)
    return str(job.get("error") or job.get("status") or "it was never begun")
