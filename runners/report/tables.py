"""The tables of a report: evaluations, every number, config differences."""

import json
from collections.abc import Sequence
from typing import Any

from agentlab_runner.runners.config.identity import flatten
from agentlab_runner.runners.online.evaluation import USAGE
from agentlab_runner.runners.report.record import RunRecord
from agentlab_runner.runners.terminal.statistics import bootstrap_interval
from agentlab_runner.runners.terminal.tables import stripped

MOST_ROWS = 300
"""Of one logged table."""

Cell = dict[str, Any] | None
"""Success, its Wilson interval and the number of episodes, as `runners.online.evaluation` writes them."""


def result(run: RunRecord) -> Cell:
    """The run's newest evaluation."""
    return next(reversed(run.evals.values()), None)


def evaluation_table(runs: Sequence[RunRecord]) -> dict[str, Any] | None:
    """Success by task; None where nothing was evaluated.

    The columns are the first and the last evaluation of one run, the last of each of several, or each arm's mean over
    its seeds.
    """
    columns: list[tuple[str, Cell]] = []
    arms = dict.fromkeys(run.arm for run in runs if run.arm and run.evals)
    if arms:
        columns = [(arm, _mean([result(run) or {} for run in runs if run.arm == arm and run.evals])) for arm in arms]
    elif len(runs) == 1:
        names = list(runs[0].evals)
        columns = [(name.replace("_", " "), runs[0].evals[name]) for name in dict.fromkeys(names[:1] + names[-1:])]
    else:
        columns = [(f"{run.name} ({next(reversed(run.evals))})", result(run)) for run in runs if run.evals]
    if not columns:
        return None
    cells = [cell or {} for _, cell in columns]
    groups = [
        ("other sets", _rows(cells, "also", lambda name: str(name).replace("_", " "))),
        ("by level", _rows(cells, "levels", lambda name: f"level {name}")),
        ("by task", _rows(cells, "tasks", str)),
    ]
    return {
        "columns": [name for name, _ in columns],
        "over_seeds": bool(arms),
        "asked": any(summary.get("usage") for run in runs for summary in run.evals.values()),
        "total": cells,
        "conditions": _conditions([summary for run in runs for summary in run.evals.values()]),
        "groups": [(heading, rows) for heading, rows in groups if rows],
        "all": [
            {
                "run": run.name,
                "name": name,
                "cell": summary,
                "total_reward": _short(summary.get("return")),
                "length": _short(summary.get("length")),
                **{name: summary.get(name, 0) for name in ("device_lost", "error", "cancelled")},
                "usage": _usage(summary),
                "gave_up": {stripped(reason): count for reason, count in (summary.get("gave_up") or {}).items()},
                "models": ", ".join(map(stripped, summary.get("models") or {})),
            }
            for run in runs
            for name, summary in run.evals.items()
        ],
    }


def _conditions(summaries: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Under what they were played, each with its values."""
    found: dict[str, dict[str, None]] = {}
    for summary in summaries:
        for name, value in (summary.get("conditions") or {}).items():
            found.setdefault(stripped(name), {})[stripped(value)] = None
    return [(name, "; ".join(values)) for name, values in found.items()]


def _usage(summary: dict[str, Any]) -> dict[str, str] | None:
    """What an episode asked of models; None where none was asked."""
    usage = summary.get("usage") or {}
    share = {"cached": f"{100 * usage['cached']:.0f} %"} if "cached" in usage else {}
    return {name: _short(usage.get(name)) for name in USAGE} | share if usage else None


def logged_tables(runs: Sequence[RunRecord], notices: list[str]) -> list[dict[str, Any]]:
    """Every table that was logged, as it was last."""
    found, cut = [], 0
    for run in runs:
        for name, by_step in sorted(run.tables.items()):
            step = max(by_step)
            label = name if len(runs) == 1 else f"{name} · {run.name}"
            rows = by_step[step]["rows"]
            cut += len(rows) > MOST_ROWS
            found.append({"label": label, "step": step, "columns": by_step[step]["columns"], "rows": rows[:MOST_ROWS]})
    if cut:
        notices.append(f"{cut} tables show their first {MOST_ROWS} rows; metrics.jsonl has them whole")
    return found


def _mean(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The seeds of an arm as one cell: mean success and its bootstrap interval, for all tasks and each."""
    rates = [cell["success"] for cell in cells if cell.get("success") is not None]
    interval = bootstrap_interval(rates) if rates else None
    mean: dict[str, Any] = {
        "success": sum(rates) / len(rates) if rates else None,
        "interval": [interval.low, interval.high] if interval else None,
        "episodes": f"{len(rates)} seed{'s' * (len(rates) != 1)}",
    }
    for part in ("also", "levels", "tasks"):
        names = {name for cell in cells for name in cell.get(part) or {}}
        if names:
            held = [cell.get(part) or {} for cell in cells]
            mean[part] = {name: _mean([one[name] for one in held if name in one]) for name in names}
    return mean


def _rows(cells: Sequence[dict[str, Any]], part: str, title: Any) -> list[tuple[str, list[Cell]]]:
    parts = [cell.get(part) or {} for cell in cells]
    return [(title(name), [one.get(name) for one in parts]) for name in sorted({name for one in parts for name in one})]


def number_table(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Last, lowest and highest value of every scalar of every run."""
    rows = []
    for metric in sorted({name for run in runs for name in run.scalars}):
        for run in runs:
            values = [value for _, (_, value) in sorted(run.scalars.get(metric, {}).items()) if value is not None]
            if values:
                low, high = min(values), max(values)
                row = {"metric": metric, "run": run.name, "count": len(values)}
                rows.append(row | {"last": _short(values[-1]), "low": _short(low), "high": _short(high)})
    return rows


def config_table(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Which keys differ between runs, and which are the same in all."""
    flats = [
        {key: json.dumps(value, ensure_ascii=False, default=str) for key, value in flatten(run.config).items() if key}
        for run in runs
    ]
    keys = sorted({key for flat in flats for key in flat})
    values = {key: [flat.get(key, "(absent)") for flat in flats] for key in keys}
    different = [(key, row) for key, row in values.items() if len(set(row)) > 1]
    same = [(key, row[0]) for key, row in values.items() if len(set(row)) == 1]
    return {"different": different, "same": same, "count": len(keys)}


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
