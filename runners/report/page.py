"""From run records to one HTML page that needs nothing else."""

import base64
import hashlib
import math
import shlex
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from agentlab_runner.runners.report.record import RunRecord
from agentlab_runner.runners.report.tables import config_table, evaluation_table, logged_tables, number_table, result

PALETTE = ("#1f83c9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f", "#a6761d", "#1b9e77")
"""Distinguishable without red-green vision, on light and dark ground alike."""
GROUPS = ("eval", "eval, by task", "train", "train, by task", "learning", "time")
"""Headings of the learning curves, in this order; what an agent reports of itself is `learning`."""
MOST_POINTS = 1500
"""A curve with more is thinned; a screen has no more columns."""
MOST_HISTOGRAMS = 120


def render(
    runs: Sequence[RunRecord],
    pictures: Sequence[dict[str, Any]],
    episodes: Sequence[dict[str, Any]],
    moving: Sequence[dict[str, Any]],
    frames: Sequence[dict[str, Any]],
    notices: Sequence[str],
) -> str:
    """The page as text. `pictures` and `episodes` name their images by the index in `frames`, `moving` by URI."""
    colours = _colours(runs)
    left_out = list(notices)
    package = files("agentlab_runner.runners.report")
    script = "".join((package / name).read_text("utf-8") for name in ("charts.js", "player.js"))
    charts, constant = _charts(runs, left_out)
    payload = {
        "runs": [
            {"name": run.name, "key": run.arm or str(run.path), "colour": colour}
            for run, colour in zip(runs, colours, strict=True)
        ],
        "charts": charts,
        "histograms": _histograms(runs, left_out),
        "series": _series(runs),
        "frames": frames,
        "episodes": episodes,
    }
    tables = logged_tables(runs, left_out)
    headers = [_header(run, colour) for run, colour in zip(runs, colours, strict=True)]
    arms: dict[str, list[dict[str, Any]]] = {}
    for run, header in zip(runs, headers, strict=True):
        arms.setdefault(run.arm, []).append(header)
    legend = {
        run.arm or str(run.path): {"name": run.arm or run.name, "colour": colour}
        for run, colour in zip(runs, colours, strict=True)
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((package / "page.html").read_text("utf-8"))
    return template.render(
        title=_title(runs),
        runs=headers,
        arms=arms,
        sweep=any(run.arm for run in runs),
        legend=legend,
        notices=_run_notices(runs) + left_out,
        evaluation=evaluation_table(runs),
        numbers=number_table(runs),
        config=config_table(runs),
        filters=_filters(runs, episodes),
        pictures=pictures,
        tables=tables,
        moving=moving,
        constant=constant,
        payload=payload,
        style=Markup((package / "page.css").read_text("utf-8")),
        script=Markup(script),
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    )


def _colours(runs: Sequence[RunRecord]) -> list[str]:
    """One colour a run, or one an arm inside a sweep."""
    names = list(dict.fromkeys(run.arm or str(run.path) for run in runs))
    return [PALETTE[names.index(run.arm or str(run.path)) % len(PALETTE)] for run in runs]


def _title(runs: Sequence[RunRecord]) -> str:
    if len(runs) == 1:
        return runs[0].name
    if all(run.arm for run in runs):
        return ", ".join(dict.fromkeys(run.path.resolve().parent.parent.name for run in runs))
    return " · ".join(run.name for run in runs[:4]) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")


def _run_notices(runs: Sequence[RunRecord]) -> list[str]:
    """Each notice once, with the runs it is about where there are several."""
    about: dict[str, list[str]] = {}
    for run in runs:
        for text in run.notices:
            about.setdefault(text, []).append(run.name)
    if len(runs) == 1:
        return list(about)
    return [f"{'every run' if len(names) == len(runs) else ', '.join(names)}: {text}" for text, names in about.items()]


def _header(run: RunRecord, colour: str) -> dict[str, Any]:
    manifest = run.manifest
    command = shlex.join(map(str, manifest.get("command") or []))
    facts = {
        "command": command,
        "commit": _commit(manifest),
        "hardware": _hardware(manifest.get("hardware") or {}),
        "started": str(manifest.get("started", ""))[:16].replace("T", " "),
        "duration": _duration(run),
        "seed": str(manifest.get("seed", "")),
        "started from": _origin(manifest),
        "tags": ", ".join(map(str, tags)) if isinstance(tags := run.config.get("tags"), list) else "",
        "notes": str(run.config.get("notes") or ""),
        "folder": str(run.path),
    }
    versions = {"python": manifest.get("python", "?")} | (manifest.get("packages") or {})
    return {
        "name": run.name,
        "status": run.status,
        "colour": colour,
        "facts": [(name, value) for name, value in facts.items() if value],
        "command": command,
        "commit": facts["commit"],
        "duration": facts["duration"],
        "hardware": facts["hardware"],
        "config_text": run.config_text,
        "versions": "\n".join(f"{name} {version}" for name, version in versions.items()),
        "result": result(run),
        "tiles": _tiles(run),
    }


def _origin(manifest: dict[str, Any]) -> str:
    """The checkpoint whose weights the run started from."""
    origin = manifest.get("init_from")
    return f"checkpoint {origin.get('step')} of {origin.get('run')}" if isinstance(origin, dict) else ""


def _commit(manifest: dict[str, Any]) -> str:
    git = manifest.get("git") or {}
    if not git.get("commit"):
        return "not a git checkout"
    return f"{git['commit'][:12]}{' (dirty)' if git.get('dirty') else ''}"


def _hardware(hardware: dict[str, Any]) -> str:
    parts = [hardware.get("cpu"), f"{hardware['cores']} cores" if "cores" in hardware else None]
    parts += [f"{hardware['memory_gb']} GB" if "memory_gb" in hardware else None, *hardware.get("gpu", [])]
    return ", ".join(str(part) for part in parts if part)


def _duration(run: RunRecord) -> str:
    if run.seconds is None:
        return "unknown, its clock was set meanwhile" if run.began is not None and run.manifest.get("ended") else ""
    minutes, seconds = divmod(round(run.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    took = f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
    resumed = len(run.manifest.get("resumed") or [])
    return f"{took}, resumed {resumed}x" if resumed else took


def _tiles(run: RunRecord) -> list[dict[str, str]]:
    """The few figures a reader looks for first."""
    tiles = []
    first, last = next(iter(run.evals.values()), None), result(run)
    if last and last.get("success") is not None:
        tiles.append({"name": "success on held-out tasks", "value": f"{100 * last['success']:.0f} %"})
        if first and first is not last and first.get("success") is not None:
            gain = 100 * (last["success"] - first["success"])
            tiles.append({"name": "points since the first evaluation", "value": f"{gain:+.0f}"})
    steps = [step for scalars in run.scalars.values() for step in scalars]
    if steps:
        tiles.append({"name": "iterations logged", "value": str(max(steps))})
    return tiles


def _charts(runs: Sequence[RunRecord], notices: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """(charts, what is the same at every step and needs none)."""
    charts, constant, thinned = [], [], False
    for name in sorted({name for run in runs for name in run.scalars}, key=_order):
        values = {value for run in runs for _, value in run.scalars.get(name, {}).values()}
        if len(values) == 1 and not name.endswith("success"):
            value = next(iter(values))
            constant.append(f"{name} = {'not finite' if value is None else f'{value:g}'}")
            continue
        series = []
        for index, run in enumerate(runs):
            points = sorted(run.scalars.get(name, {}).items())
            stride = math.ceil(len(points) / MOST_POINTS)
            if not points:
                continue
            thinned = thinned or stride > 1
            points = points[::-stride][::-1]
            began = run.began or 0.0
            one = {
                "run": index,
                "steps": [step for step, _ in points],
                "minutes": [None if moment is None else round((moment - began) / 60, 3) for _, (moment, _) in points],
                "values": [value for _, (_, value) in points],
            }
            if name == "eval/success":
                intervals = [run.evals.get(f"iteration_{step}", {}).get("interval") for step, _ in points]
                one["band"] = [interval or [None, None] for interval in intervals]
            series.append(one)
        share = name.endswith("/success") or "/task/" in name
        folded = "/task/" in name
        charts.append({"name": name, "group": _group(name), "share": share, "folded": folded, "series": series})
    if thinned:
        notices.append(f"curves with more than {MOST_POINTS} points show every k-th of them, the last included")
    return charts, constant


def _group(name: str) -> str:
    first = name.split("/")[0]
    if first in ("eval", "train"):
        return f"{first}, by task" if "/task/" in name else first
    return first if first == "time" else "learning"


def _order(name: str) -> tuple[int, bool, str]:
    return GROUPS.index(_group(name)), not name.endswith("/success"), name


def _histograms(runs: Sequence[RunRecord], notices: list[str]) -> list[dict[str, Any]]:
    records, thinned = [], False
    for name in sorted({name for run in runs for name in run.histograms}):
        for index, run in enumerate(runs):
            kept = sorted(run.histograms.get(name, {}).items())
            stride = math.ceil(len(kept) / MOST_HISTOGRAMS)
            thinned = thinned or stride > 1
            kept = kept[::-stride][::-1] if kept else []
            if kept:
                records.append({
                    "name": name,
                    "run": index,
                    "steps": [step for step, _ in kept],
                    "counts": [counts for _, (counts, _) in kept],
                    "edges": [edges for _, (_, edges) in kept],
                })  # fmt: skip
    if thinned:
        notices.append(f"histograms logged more than {MOST_HISTOGRAMS} times show every k-th of them")
    return records


def _series(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Every series that was logged, as it was last, thinned as curves are."""
    found = []
    for name in sorted({name for run in runs for name in run.series}):
        for index, run in enumerate(runs):
            if not run.series.get(name):
                continue
            step = max(run.series[name])
            one = run.series[name][step]
            stride = max(1, math.ceil(len(one["x"]) / MOST_POINTS))
            lines = {line: values[::-stride][::-1] for line, values in one["lines"].items()}
            head = {"name": name, "run": index, "step": step, "x_label": one["x_label"]}
            found.append({**head, "x": one["x"][::-stride][::-1], "lines": lines})
    return found


def _filters(runs: Sequence[RunRecord], episodes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the episode list can be narrowed by; a filter with one choice is none."""
    filters = [
        ("run", "run", [(str(i), run.name) for i, run in enumerate(runs) if any(e["run"] == i for e in episodes)]),
        ("set", "recorded at", [(name, name.replace("_", " ")) for name in dict.fromkeys(e["set"] for e in episodes)]),
        ("outcome", "outcome", [(name, name) for name in ("success", "failure")]),
        ("task", "task", [(name, name) for name in sorted({e["task"] for e in episodes})]),
    ]
    return [{"name": name, "label": label, "choices": choices} for name, label, choices in filters if len(choices) > 1]
