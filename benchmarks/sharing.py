"""What a run and the processes beside it cost each other, with the threads that are chosen and with torch's own."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import NamedTuple

from agentlab_runner.runners.processes.threads import usable_cores
from benchmarks.figures import Figure, spread

ROUNDS = 3
COMMAND = ("train", "+exp=coso_numberline", "total_iterations=2", "logger=none")
QUICK = ("warm_start.episodes=60", "agent.imitation.steps=40", "eval.episodes=8", "rollout_size=16")
BUSY = ("sh", "-c", "while :; do :; done")

CHOSEN: Mapping[str, str] = {}
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "chosen": CHOSEN,
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "all threads, passive": {"OMP_NUM_THREADS": str(usable_cores()), "OMP_WAIT_POLICY": "PASSIVE"},
    "all threads, spinning": {"OMP_NUM_THREADS": str(usable_cores()), "GOMP_SPINCOUNT": "300000"},  # GNU's own
}
OTHERS = (0, 1)
"""Busy processes beside it."""


class Cost(NamedTuple):
    """What a command took, in seconds."""

    wall: float
    cpu: float


def measure(quick: bool = False) -> list[Figure]:
    """Wall and CPU time of a small run, warm start included, alone and beside busy processes, settings in turn."""
    costs: dict[tuple[str, int], list[Cost]] = {}
    for _ in range(1 if quick else ROUNDS):
        for others in OTHERS:
            for name, variables in SETTINGS.items():
                with _busy(others):
                    costs.setdefault((name, others), []).append(_run(variables, QUICK if quick else ()))
    alone = {name: _median(costs[name, 0]) for name in SETTINGS}
    details = {f"{name}, beside {others}": _details(taken) for (name, others), taken in costs.items()}
    best = min(cost.wall for cost in alone.values())
    figures = [_figure("a small run alone, threads as chosen / the best setting", alone["chosen"].wall / best, 1.1)]
    figures[0]["details"] = details
    for others in sorted({others for _, others in costs} - {0}):
        for name, bars in (("chosen", (1.6, 1.2)), ("all threads, spinning", None)):
            beside = _median(costs[name, others])
            title = f"a small run beside {others} busy / alone, {'threads as chosen' if name == 'chosen' else name}"
            asked = bars if others == 1 and bars else (None, None)
            figures.append(_figure(f"{title}, wall", beside.wall / alone[name].wall, asked[0]))
            figures.append(_figure(f"{title}, CPU", beside.cpu / alone[name].cpu, asked[1]))
    return figures


def _run(variables: Mapping[str, str], overrides: tuple[str, ...]) -> Cost:
    """One run in a process of its own, with no warm start kept from another."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    with TemporaryDirectory() as folder:
        env = {**given, **variables, "AGENTLAB_CACHE": f"{folder}/cache"}
        command = [sys.executable, "-m", "agentlab_runner.runners", *COMMAND, f"runs_dir={folder}/runs", *overrides]
        began, used = time.perf_counter(), _cpu()
        subprocess.run(command, env=env, check=True, capture_output=True)
        return Cost(time.perf_counter() - began, _cpu() - used)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Processes that compute; what they use is counted, once they have ended, before or after and never with a run."""
    processes = [subprocess.Popen(BUSY) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))


def _details(costs: list[Cost]) -> dict[str, dict[str, float]]:
    return {"wall_seconds": spread([cost.wall for cost in costs]), "cpu_seconds": spread([cost.cpu for cost in costs])}


def _figure(name: str, ratio: float, bar: float | None) -> Figure:
    return {"figure": name, "measured": ratio, "unit": "x", "bar": f"<= {bar:g}" if bar else "", "details": {}}
