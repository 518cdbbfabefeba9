"""Functional dependencies of a CSV file: ours against Desbordante's DFD, Pyro, HyFD and Tane, each in a process."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figure
from benchmarks.ofd_tables import write_csv

TABLES = {"100k x 10": (100_000, 10, 3), "1M x 10": (1_000_000, 10, 1), "50k x 20": (50_000, 20, 1)}
"""Rows, columns, rounds."""
QUICK = {"2k x 8": (2_000, 8, 1)}
PEERS = ("Pyro", "HyFD", "DFD", "Tane")
HOPELESS = 4.0
"""A peer that has taken so many times as long as the best before it is stopped: it cannot be the best."""
ROOT = Path(__file__).parent.parent


def measure(quick: bool = False) -> list[Figure]:
    """Wall and CPU seconds and peak memory of whole processes: start, read the file, search, on two threads."""
    figures: list[Figure] = []
    with TemporaryDirectory() as folder:
        _run("ours", _csv(Path(folder), 100, 3), None)  # compiles, which happens once a machine
        for name, (rows, columns, rounds) in (QUICK if quick else TABLES).items():
            path = _csv(Path(folder), rows, columns)
            details: dict[str, Any] = {engine: [] for engine in ("ours", *PEERS)}
            best: float | None = None
            for _ in range(rounds):
                for engine in details:
                    taken = _run(engine, path, best and best * HOPELESS)
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
    median = {
        engine: {key: statistics.median(one[key] for one in runs) for key in ("wall", "cpu", "peak_mb")}
        for engine, runs in done.items()
        if runs
    }
    found = {one["found"] for runs in done.values() for one in runs}
    assert len(found) == 1, f"the engines disagree on {table}: {details}"
    ours = median.pop("ours")
    fastest = min(median, key=lambda engine: median[engine]["wall"])
    thrifty = min(median, key=lambda engine: median[engine]["cpu"])
    return [
        _figure(f"FDs of {table}, wall: {fastest} / ours", median[fastest]["wall"] / ours["wall"], ">= 1", details),
        _figure(f"FDs of {table}, CPU: {thrifty} / ours", median[thrifty]["cpu"] / ours["cpu"], ">= 1"),
        _figure(f"FDs of {table}, peak: ours / {fastest}", ours["peak_mb"] / median[fastest]["peak_mb"], "<= 1.2"),
    ]


def _figure(name: str, measured: float, bar: str, details: dict[str, Any] | None = None) -> Figure:
    return {"figure": name, "measured": measured, "unit": "x", "bar": bar, "details": details or {}}


def _run(engine: str, path: Path, limit: float | None) -> dict[str, Any]:
    """One process; what it says of itself, with its wall and CPU seconds and peak memory."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.fd_engine", engine, str(path)]
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
