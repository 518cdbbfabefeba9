"""How long a user waits for `agentlab clean discover` from the shell, beside bare Python reading the same file."""

import csv
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.figures import Figure, spread

ROUNDS = 7
ROWS = 100_000


def measure(quick: bool = False) -> list[Figure]:
    """Median seconds from the shell and back, in turn, after one run that fills numba's cache and the disk's."""
    with TemporaryDirectory() as folder:
        table = str(Path(folder) / "table.csv")
        write_table(Path(table), 1000 if quick else ROWS)
        commands = {
            "discover": [sys.executable, "-m", "agentlab_runner.runners", "clean", "discover", table, "--json"],
            "pyarrow": [sys.executable, "-c", f"from pyarrow.csv import read_csv; read_csv({table!r})"],
            "duckdb": [sys.executable, "-c", f"import duckdb; duckdb.read_csv({table!r}).fetchnumpy()"],
        }
        wall: dict[str, list[float]] = {name: [] for name in commands}
        cpu: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(2 if quick else ROUNDS + 1):
            for name, command in commands.items():
                seconds, worked = _run(command)
                if number:
                    wall[name].append(seconds)
                    cpu[name].append(worked)
    median = {name: statistics.median(seconds) for name, seconds in wall.items()}
    details = {
        name: {"seconds": spread(wall[name]), "user_and_system_cpu_seconds": spread(cpu[name])} for name in commands
    }
    what = f"agentlab clean discover on {ROWS:,} x 10 CSV, from the shell"
    return [
        _figure(what, median["discover"], "s", "<= 4", details),
        _figure(f"{what} / python reading it with pyarrow", median["discover"] / median["pyarrow"], "x"),
        _figure(f"{what} / python reading it with duckdb", median["discover"] / median["duckdb"], "x"),
    ]


def _figure(name: str, measured: float, unit: str, bar: str = "", details: dict[str, Any] | None = None) -> Figure:
    return {"figure": name, "measured": measured, "unit": unit, "bar": bar, "details": details or {}}


def write_table(path: Path, rows: int) -> None:
    """Ten columns of text: a key, four planted dependencies, and columns of few and of many values."""
    rng = np.random.default_rng(0)
    city, shop, product, day = (rng.integers(0, size, rows) for size in (5000, 300, 2000, 365))
    columns = {
        "id": rng.permutation(rows), "city": city, "country": city % 120, "shop": shop, "region": shop % 17,
        "product": product, "brand": product % 90, "day": day, "month": day // 31, "grade": rng.integers(0, 5, rows),
    }  # fmt: skip
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*([f"{name} {code}" for code in codes] for name, codes in columns.items()), strict=True))


def _run(command: list[str]) -> tuple[float, float]:
    """Wall seconds and CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
