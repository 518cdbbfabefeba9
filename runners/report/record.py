"""What a run folder says, read for looking at: nothing here is written, and a missing part becomes a notice."""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from agentlab_runner.runners.config.old_names import renamed
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import LINES_LIMIT, inside, read_bytes, read_object, read_yaml
from agentlab_runner.runners.online.evaluation import is_texts
from agentlab_runner.runners.report.order import in_order, overtaken
from agentlab_runner.runners.run.config_file import check_unedited
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.manifest import Manifest, duration, moment, read_manifest
from agentlab_runner.runners.run.metrics_file import is_finite, is_step
from agentlab_runner.runners.terminal.tables import stripped

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
    pictures: dict[str, dict[int, tuple[str, str]]] = field(default_factory=dict)
    """name -> step -> (file inside the folder, caption)."""
    series: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    """name -> step -> `{"x", "lines", "x_label"}`; what is not finite is None."""
    tables: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    """name -> step -> `{"columns", "rows"}`."""
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
    if not os.path.lexists(path / "manifest.json"):
        raise UserError(
            f"{path} is no run (it has no manifest.json); name a folder that `agentlab train` or `agentlab sweep` wrote"
        )
    run = RunRecord(path, label or path.resolve().name, arm)
    try:
        run.manifest = dict(read_manifest(path))
    except UserError as fault:
        run.notices.append(str(fault))
    _read_config(run)
    _read_status(run)
    _read_metrics(run)
    _read_evals(run)
    return run


def _read_config(run: RunRecord) -> None:
    try:
        run.config_text, run.config = read_yaml(run.path, "config.yaml")
        if "config_hash" in run.manifest:
            check_unedited(run.path, renamed(run.config), cast(Manifest, run.manifest))
    except FileNotFoundError:
        run.notices.append("config.yaml is missing")
    except UserError as fault:
        run.notices.append(str(fault))


def _read_status(run: RunRecord) -> None:
    try:
        run.status = Run.open(run.path).status
    except UserError as fault:
        run.status = str(run.manifest.get("status", "unknown"))
        if str(fault) not in run.notices:
            run.notices.append(str(fault))
    if run.status == "running":
        run.notices.append("the run was still going on when this page was written")
    elif run.status in ("failed", "interrupted"):
        resume = f"`agentlab resume run={run.path}` goes on from its last checkpoint"
        try:
            lines = read_bytes(run.path, "error.txt").decode(errors="replace").strip().splitlines()
        except (FileNotFoundError, UserError):
            lines = []
        reason = f" with {lines[-1]}" if run.status == "failed" and lines else ""
        run.notices.append(f"the run {'failed' if run.status == 'failed' else 'was interrupted'}{reason}; {resume}")


def _lines(run: RunRecord) -> Iterator[tuple[int, float | None, dict[str, Any]]]:
    """Step, time and values of every line that can be read."""
    try:
        content = read_bytes(run.path, "metrics.jsonl", LINES_LIMIT)
    except FileNotFoundError:
        run.notices.append("nothing was logged yet (there is no metrics.jsonl)")
        return
    except UserError as fault:
        run.notices.append(str(fault))
        return
    torn = 0
    for line in content.decode(errors="replace").splitlines():
        try:
            record = json.loads(line)
            step, moment = round(float(record.pop("step"))), record.pop("time", None)
            if not is_step(step):
                raise ValueError
            known = {name: _known(value) for name, value in record.items()}
            yield step, float(moment) if is_finite(moment) else None, known
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            torn += 1
    if torn:
        run.notices.append(f"{torn} torn line{'s' * (torn > 1)} of metrics.jsonl left out")


def _known(value: Any) -> Any:
    """A logged value that is a number, a histogram, a picture, a series or a table; None for anything else.

    Raises:
        OverflowError, TypeError, ValueError: for a number too large, or a histogram, series or table that is none.
    """
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, dict) and {"x", "lines"} <= value.keys():
        x, lines = _gapped(value["x"]), {str(name): _gapped(line) for name, line in value["lines"].items()}
        if not all(len(line) == len(x) for line in lines.values()):
            raise ValueError("a line has not as many values as the axis")
        return {"x": x, "lines": lines, "x_label": str(value.get("x_label", ""))}
    if isinstance(value, dict) and {"columns", "rows"} <= value.keys():
        columns, rows = list(map(str, value["columns"])), [list(map(_as_cell, row)) for row in value["rows"]]
        if not all(len(row) == len(columns) for row in rows):
            raise ValueError("a row has not as many cells as there are columns")
        return {"columns": columns, "rows": rows}
    if isinstance(value, dict) and {"counts", "edges"} <= value.keys():
        counts, edges = value["counts"], value["edges"]
        whole = len(edges) == len(counts) + 1 and all(map(math.isfinite, [*counts, *edges]))
        return {"counts": counts, "edges": edges} if whole else None
    return value if isinstance(value, dict) and "file" in value else None


def _gapped(values: list[Any]) -> list[float | None]:
    return [float(value) if is_finite(value) else None for value in values]


def _as_cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, int | float) else stripped(str(value))


def _read_metrics(run: RunRecord) -> None:
    gaps: set[str] = set()
    lost: list[str] = []
    latest, set_back = run.began or 0.0, 0.0
    for step, at, values in _lines(run):
        if at is not None:  # a clock that was set back stands still until the next line
            set_back = max(set_back, latest - at)
            latest = at = at + set_back
        for name, value in values.items():
            if isinstance(value, float):
                finite = math.isfinite(value)
                run.scalars.setdefault(name, {})[step] = (at, value if finite else None)
                if not finite:
                    gaps.add(name)
            elif isinstance(value, dict) and "counts" in value:
                run.histograms.setdefault(name, {})[step] = (value["counts"], value["edges"])
            elif isinstance(value, dict) and "lines" in value:
                run.series.setdefault(name, {})[step] = value
            elif isinstance(value, dict) and "rows" in value:
                run.tables.setdefault(name, {})[step] = value
            elif isinstance(value, dict):
                file = str(value["file"])
                if _is_in(run.path, file):
                    run.pictures.setdefault(name, {})[step] = (file, str(value.get("caption", "")))
                else:
                    lost.append(file)
    if gaps:
        run.notices.append(f"not a finite number at some steps, which leaves gaps: {', '.join(sorted(gaps))}")
    if lost:
        run.notices.append(f"{len(lost)} pictures of metrics.jsonl are not in the folder, {lost[0]} the first")


def _is_in(folder: Path, name: str) -> bool:
    try:
        return inside(folder, name).is_file()
    except (UserError, OSError, ValueError):
        return False


def _is_evaluation(summary: Any) -> bool:
    """Whether it is what `runners.online.evaluation` writes, as far as the page shows it."""
    if not isinstance(summary, dict) or not isinstance(summary.get("episodes"), int):
        return False
    numbers = [summary.get(name) for name in ("success", "return", "length")]
    interval = summary.get("interval")
    ends = interval if isinstance(interval, list) and len(interval) == 2 else []
    if not all(is_finite(one) for one in [*(one for one in numbers if one is not None), *ends]):
        return False
    counts = [summary.get(name) or {} for name in ("usage", "measures", "gave_up", "models")]
    if not all(isinstance(group, dict) and all(map(is_finite, group.values())) for group in counts):
        return False
    if not is_texts(summary.get("conditions", {})):
        return False
    parts = [summary.get(name) or {} for name in ("tasks", "levels", "also")]
    return (interval is None or bool(ends)) and all(
        isinstance(part, dict) and all(_is_evaluation(one) for one in part.values()) for part in parts
    )


def _read_evals(run: RunRecord) -> None:
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((run.path / "eval").glob("*.json")):
        try:
            summary = read_object(run.path, f"eval/{file.name}")
        except (UserError, FileNotFoundError) as fault:
            run.notices.append(str(fault))
            continue
        if _is_evaluation(summary):
            found[file.stem] = summary
        elif "episodes" in summary:
            run.notices.append(f"{file.name} is left out, since it holds no evaluation as runs write it")
    left = overtaken(found, run.manifest.get("resumed") or [])
    for name in left:
        run.notices.append(f"eval/{name}.json is of a course that the run left when it was resumed; it is left out")
    run.evals = {name: found[name] for name in in_order(found, run.scalars) if name not in left}
    if not run.evals:
        run.notices.append(f"there is no evaluation yet; `agentlab eval run={run.path}` makes one")
