"""Engines that find functional dependencies, timed on one table: ours, and Desbordante's where it is installed."""

import csv
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from agentlab_runner.data_cleaning.discovery.discover import discover
from agentlab_runner.data_cleaning.ontology.ontology import Ontology
from agentlab_runner.data_cleaning.types import Table

PEERS = {"dfd": ("fd", "DFD"), "pyro": ("fd", "Pyro"), "hyfd": ("fd", "HyFD"), "tane": ("afd", "Tane")}
"""Module and class in Desbordante."""


def installed(engine: str) -> bool:
    return engine not in PEERS or find_spec("desbordante") is not None


def race(table: Table, ontology: Ontology, engines: Sequence[str], repeats: int) -> dict[str, float]:
    """Wall and CPU seconds of each engine, the median of `repeats`, and how many dependencies it found.

    Our kernels are compiled, or read from the cache, before the clock starts. Reading the table is not counted.
    """
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        if any(engine in PEERS for engine in engines):
            _write(table, path)
        runs = {engine: _ready(engine, table, ontology, path) for engine in engines}
        for engine, run in runs.items():
            walls, cpus, count = [], [], 0
            for _ in range(repeats):
                began, cpu = time.perf_counter(), _cpu()
                count = run()
                walls.append(time.perf_counter() - began)
                cpus.append(_cpu() - cpu)
            found |= {f"seconds/{engine}": median(walls), f"cpu_seconds/{engine}": median(cpus)}
            found[f"found/{engine}"] = count
    return found


def _ready(engine: str, table: Table, ontology: Ontology, path: Path) -> Callable[[], int]:
    """The engine with its table loaded; calling it searches."""
    if engine not in PEERS:
        names = ontology if engine == "fastofd_synonym" else None
        small = Table(table.names, tuple(codes[:0] for codes in table.codes), tuple(() for _ in table.values))
        discover(small, names)  # compiles
        return lambda: len(discover(table, names))
    import desbordante

    module, name = PEERS[engine]

    def run() -> int:
        algorithm = getattr(getattr(desbordante, module).algorithms, name)()
        algorithm.load_data(table=(str(path), ",", True))
        algorithm.execute(**({"error": 0.0} if module == "afd" else {}))
        return len(algorithm.get_fds())

    return run


def _write(table: Table, path: Path) -> None:
    pairs = zip(table.codes, table.values, strict=True)
    columns = [[values[code] or "" for code in codes.tolist()] for codes, values in pairs]
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([table.names, *zip(*columns, strict=True)])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
