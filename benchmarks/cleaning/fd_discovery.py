"""Functional dependencies of a CSV file: ours against Desbordante's DFD, Pyro, HyFD and Tane, each in a process."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cleaning.ofd_tables import write_csv
from benchmarks.figures import Figure

TABLES = {"100k x 10": (100_000, 10, 3), "1M x 10": (1_000_000, 10, 1), "50k x 20": (50_000, 20, 1)}
"""Rows, columns, rounds."""
QUICK = {"2k x 8": (2_000, 8, 1)}
PEERS = ("Tane", "Pyro", "HyFD", "DFD")
HOPELESS = 2.0
"""A peer that has taken so many times as long as the best before it is stopped: it cannot be the best."""
KEYS = {
    "search_wall": "search, wall",
    "search_cpu": "search, CPU",
    "wall": "whole process, wall",
    "cpu": "whole process, CPU",
    "peak_mb": "peak memory",
}
"""What a process says of itself, and what it is called. For each the best peer counts; for memory the fastest one."""
ROOT = Path(__file__).parents[2]


def measure(quick: bool = False) -> list[Figure]:
    """Wall and CPU seconds of the search, and of the process with start and reading; its peak memory; two threads."""
    figures: list[Figure] = []
    with TemporaryDirectory() as folder:
        _run("ours", _csv(Path(folder), 100, 3), None)  # compiles, which happens once a machine
        for name, (rows, columns, rounds) in (QUICK if quick else TABLES).items():
            path = _csv(Path(folder), rows, columns)
            details: dict[str, Any] = {engine: [] for engine in ("ours", *PEERS)}
            best: float | None = None
            for _ in range(rounds):
                for engine in details:
                    limit = best and best * HOPELESS if engine != "ours" else None
                    taken = _run(engine, path, limit)
                    details[engine].append(taken)
                    if engine != "ours" and "wall" in taken:
                        best = min(best or taken["wall"], taken["wall"])
            figures += _compared(name, details)
    return figures


def _csv(folder: Path, rows: int, columns: int) -> Path:
    path = folder / f"{rows}x{columns}.csv"
    write_csv(rows, columns, path)
    return path


def _compared(table: str, details: dict[str, Any]) -> list[Figure]:
    done = {engine: [one for one in runs if "wall" in one] for engine, runs in details.items()}
    assert len({one["found"] for runs in done.values() for one in runs}) == 1, f"engines disagree on {table}: {details}"
    median = {
        engine: {key: statistics.median(one[key] for one in runs) for key in KEYS}
        for engine, runs in done.items()
        if runs
    }
    ours = median.pop("ours")
    figures: list[Figure] = []
    for key, what in KEYS.items():
        memory = key == "peak_mb"
        best = min((values["wall" if memory else key], engine) for engine, values in median.items())[1]
        ratio = ours[key] / median[best][key] if memory else median[best][key] / ours[key]
        figures.append({
            "figure": f"FDs of {table}, {what}: " + (f"ours / {best}" if memory else f"{best} / ours"),
            "measured": ratio,
            "unit": "x",
            "bar": "<= 1.2" if memory else ">= 1",
            "details": {} if figures else details,
        })
    return figures


def _run(engine: str, path: Path, limit: float | None) -> dict[str, Any]:
    """One process; what it says of itself, with its wall and CPU seconds and peak memory."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.cleaning.fd_engine", engine, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            out, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            return {"stopped_after": limit}
    if process.returncode:
        raise RuntimeError(f"{engine} failed on {path}")
    said: dict[str, Any] = json.loads(out)
    return said | {"wall": time.perf_counter() - began}
