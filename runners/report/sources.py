"""Which runs a report is of: run folders as they are, sweep folders job by job."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.report.record import RunRecord, read_run


def find_runs(paths: Sequence[Path]) -> tuple[list[RunRecord], list[str]]:
    """The runs behind these paths, and what has to be said of those that are none yet.

    Raises:
        UserError: when no run is left; a path that is neither a run nor a sweep is a notice beside others.
    """
    records: list[RunRecord] = []
    notices: list[str] = []
    folders = list(dict.fromkeys(path.resolve() for path in paths))
    sweeps = [folder for folder in folders if os.path.isfile(folder / "sweep.json")]
    faults: list[UserError] = []
    for path in folders:
        try:
            if path in sweeps:
                records += _sweep_runs(path, f"{path.name}: " if len(sweeps) > 1 else "", notices)
            else:
                records.append(read_run(path))
        except UserError as fault:
            faults.append(fault)
    if faults and not records:
        raise faults[0]
    notices += map(str, faults)
    if not records:
        raise UserError(f"no job of {paths[0]} has begun; give its `agentlab sweep` command again to run them")
    return records, notices


def _sweep_runs(path: Path, prefix: str, notices: list[str]) -> list[RunRecord]:
    """The runs of a sweep, arm by arm, each arm by seed; `prefix` tells the arms of several sweeps apart."""
    from agentlab_runner.runners.sweep.plan import key

    swept = _strings(_read(path, "sweep.json", notices).get("swept"))
    records = []
    for folder in sorted(file.parent for file in path.glob("jobs/*/job.json")):
        job = _read(path, f"jobs/{folder.name}/job.json", notices)
        values = {key(override): override.partition("=")[2] for override in _strings(job.get("overrides"))}
        arm = prefix + (" ".join(f"{k}={v}" for k, v in values.items() if k in swept and k != "seed") or "all")
        label = f"{arm} seed={values['seed']}" if "seed" in values else arm
        if (folder / "manifest.json").is_file():
            records.append(read_run(folder, arm=arm, label=label))
        else:
            notices.append(f"{label} has no run: {job.get('error') or job.get('status') or 'it was never begun'}")
    return sorted(records, key=lambda run: (run.arm, run.manifest.get("seed") or 0))


def _read(folder: Path, name: str, notices: list[str]) -> dict[str, Any]:
    """A JSON object; empty, with a notice, where the file cannot be read."""
    try:
        return read_object(folder, name)
    except (UserError, FileNotFoundError) as fault:
        notices.append(str(fault))
        return {}


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
