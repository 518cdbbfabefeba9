"""What a benchmark measures: figures, each beside the bar it should reach."""

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

RESULTS = Path(__file__).parent / "results"


class Figure(TypedDict):
    """One measured number."""

    figure: str
    measured: float
    unit: str
    """`x` for a ratio, `%`, `steps/s`."""
    bar: str
    """`>= 10` or `<= 4`, in the same unit; empty if nothing is asked of it."""
    details: dict[str, Any]
    """What the number was computed from."""


def reached(figure: Figure) -> bool:
    """Whether a figure is on the right side of its bar."""
    side, _, bar = figure["bar"].partition(" ")
    if not side:
        return True
    return figure["measured"] >= float(bar) if side == ">=" else figure["measured"] <= float(bar)


class Stopwatch:
    """Seconds since it was made: of the clock on the wall, and of this process on all cores."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest of repeated timings, in seconds."""
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}


def markdown_table() -> str:
    """The figures of every result file, with the machine they were measured on."""
    lines = ["| benchmark | figure | measured | bar | machine | date |", "|---|---|---|---|---|---|"]
    for file in sorted(RESULTS.glob("*.json")):
        result = json.loads(file.read_text())
        own = result.get("device")
        machine = own["name"] if own else f"{result['hardware']['cpu']}, {result['hardware']['cores']} cores"
        for figure in result["figures"]:
            measured = f"{figure['measured']:.3g} {figure['unit']}"
            verdict = measured if reached(figure) else f"{measured} (missed)"
            bar = figure["bar"] or "-"
            lines.append(f"| {file.stem} | {figure['figure']} | {verdict} | {bar} | {machine} | {result['date']} |")
        undone = [f"{part['part']}: failed, {part['why'][-1]}" for part in result.get("failures", [])]
        undone += [f"skipped: {why}" for why in result.get("skipped", [])]
        lines += [f"| {file.stem} | {one.replace('|', '/')} | - | - | {machine} | {result['date']} |" for one in undone]
    return "\n".join(lines)
