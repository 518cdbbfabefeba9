"""What ontologies, rows and prunings cost a discovery; what a check costs beside a GROUP BY."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

from agentlab_runner.data_cleaning.discovery.discover import discover
from agentlab_runner.data_cleaning.discovery.lattice import Counters, Pruning
from agentlab_runner.data_cleaning.discovery.logic import check
from agentlab_runner.data_cleaning.table.tables import decode
from agentlab_runner.data_cleaning.types import OFD, Table
from benchmarks.cleaning.ofd_tables import BOUND, Spellings, encoded, planted, spelled
from benchmarks.figures import Figure, Stopwatch, spread


def measure(quick: bool = False) -> list[Figure]:
    """On encoded tables in memory, two threads, kernels compiled; wall seconds, with CPU seconds in the details."""
    rounds = 1 if quick else 5
    small = 2_000 if quick else 50_000
    _synonyms(500, 1)
    _check(500, 1)
    return [
        _synonyms(4 * small, rounds),
        _slope([small, 4 * small, 10 * small] if quick else [50_000, 200_000, 500_000, 1_000_000, 2_000_000], rounds),
        _check(200 * small, rounds),
        *_ablation(2 * small, rounds),
    ]


def _synonyms(rows: int, rounds: int) -> Figure:
    table = encoded(spelled(rows))
    plain, named = _in_turn(
        rounds, lambda: discover(table, threads=2), lambda: discover(table, Spellings(*BOUND), threads=2)
    )
    details = {
        "fd": plain,
        "ofd": named,
        "fds": len(discover(table)),
        "ofds": len(discover(table, Spellings(*BOUND))),
    }
    name = f"discovery of {rows // 1000}k x 10: synonym OFDs, 4 columns bound / FDs"
    return _figure(name, _middle(named) / _middle(plain), "x", "<= 1.3", details)


def _slope(sizes: list[int], rounds: int) -> Figure:
    seconds: dict[int, float] = {}
    cpu: dict[int, float] = {}
    for rows in sizes:
        table = encoded(planted(rows, 10))
        (taken,) = _in_turn(min(rounds, 3), lambda table=table: discover(table, threads=2))  # type: ignore[misc]
        seconds[rows], cpu[rows] = _middle(taken), statistics.median(taken["cpu"])
    slope = float(np.polyfit(np.log(sizes), np.log([cpu[rows] for rows in sizes]), 1)[0])
    details = {"seconds": seconds, "cpu_seconds": cpu}
    name = f"growth of CPU time with rows, {sizes[0] // 1000}k to {sizes[-1] // 1000}k x 10, log-log slope"
    return _figure(name, slope, "", "<= 1.1", details)


def _check(rows: int, rounds: int) -> Figure:
    """One OFD with an ontology, a tenth of the cells another spelling, against the same columns grouped by DuckDB."""
    import duckdb
    import pyarrow as pa

    rng = np.random.default_rng(0)
    key = rng.integers(0, 100_000, rows).astype(np.int32)
    value = (key % 5_000 * 3 + (rng.random(rows) < 0.1) + 2 * (rng.random(rows) < 0.0001)).astype(np.int32)
    keys = tuple(f"key {code}" for code in range(100_000))
    table = Table(("K", "V"), (key, value), (keys, tuple(str(code) for code in range(15_003))))
    given = pa.table({"K": decode(table, "K"), "V": decode(table, "V")})
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.register("given", given)
        connection.execute("CREATE TABLE t AS SELECT * FROM given")
        ours, theirs = _in_turn(
            rounds,
            lambda: check(table, OFD(("K",), "V"), Spellings("V")),
            lambda: connection.execute("SELECT K, V, count(*) FROM t GROUP BY K, V").fetchnumpy(),
        )
    name = f"check of one OFD on {rows / 1e6:g}M rows / DuckDB's GROUP BY of its columns"
    return _figure(name, _middle(ours) / _middle(theirs), "x", "<= 3", {"ours": ours, "duckdb": theirs})


def _ablation(rows: int, rounds: int) -> list[Figure]:
    """Each pruning switched off alone. No bar is set: the figures say what each is worth."""
    table, names = encoded(spelled(rows)), Spellings(*BOUND)
    variants = {"all": Pruning()} | {one.name: replace(Pruning(), **{one.name: False}) for one in fields(Pruning)}
    counted: dict[str, Any] = {}
    calls: list[Callable[[], Any]] = []
    for name, pruning in variants.items():
        counters = Counters()
        discover(table, names, pruning=pruning, counters=counters)
        counted[name] = asdict(counters)
        calls.append(lambda pruning=pruning: discover(table, names, pruning=pruning, threads=2))  # type: ignore[misc]
    taken = dict(zip(variants, _in_turn(min(rounds, 3), *calls), strict=True))
    labels = {
        "augmentation": "Opt-2 (augmentation)",
        "keys": "Opt-3 (keys)",
        "constant": "Opt-4 (constant classes)",
        "refutation": "refuting pairs",
    }
    return [
        _figure(
            f"OFDs of {rows // 1000}k x 10 without {label} / with all prunings",
            _middle(taken[name]) / _middle(taken["all"]),
            "x",
            "",
            {"without": taken[name] | counted[name], "with": taken["all"] | counted["all"]},
        )
        for name, label in labels.items()
    ]


def _in_turn(rounds: int, *calls: Callable[[], object]) -> list[dict[str, Any]]:
    """Wall and CPU seconds of each call, made one after the other, so that a busy machine is busy for all."""
    wall: list[list[float]] = [[] for _ in calls]
    cpu: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for number, call in enumerate(calls):
            watch = Stopwatch()
            call()
            taken, worked = watch.read()
            wall[number].append(taken)
            cpu[number].append(worked)
    return [{"wall": spread(seconds), "cpu": worked} for seconds, worked in zip(wall, cpu, strict=True)]


def _middle(taken: dict[str, Any]) -> float:
    return float(taken["wall"]["median"])


def _figure(name: str, measured: float, unit: str, bar: str, details: dict[str, Any]) -> Figure:
    return {"figure": name, "measured": measured, "unit": unit, "bar": bar, "details": details}
