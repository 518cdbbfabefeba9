"""How many threads a run computes with and how they wait for each other, settled before torch is imported.

Threads that wait for the next piece of work spin for milliseconds as torch comes. That is well spent while every
thread has a core to itself; where somebody else computes too, each spins away the time the other needs to finish.
A small model's pieces take microseconds, so on two cores shared with one other process it went three times slower.
How long they spin changes no number, so it follows what the machine is doing; how many there are may change one.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from agentlab_runner.runners.run.manifest import hardware

SMALL = 2
"""Threads for a model so small that more of them only wait for each other."""
BRIEF = 10_000
"""Turns for which GNU's OpenMP spins where threads wait briefly, half a millisecond or less; its own are 300,000."""
LOOK = 0.25
"""Seconds in which is seen how many cores are free."""
_OURS, _WAITING = "AGENTLAB_OMP_NUM_THREADS", "AGENTLAB_OMP_WAITING"
"""Hold what was chosen here, which processes started later must not take for the user's own."""


class Threads(TypedDict):
    """What the manifest says of them."""

    number: int
    """In each process of the run."""
    waiting: str
    """`brief` or `passive`, or what the user's environment says of it."""
    why: str


def settle(
    cfg: Mapping[str, Any], processes: int = 1, recorded: Mapping[str, Any] | None = None, cores: int | None = None
) -> Threads:
    """Choose the threads of this process and of those it will start, and put them into the environment.

    The number may change the last digits of what is computed, so it follows the model and the machine and never how
    busy that is: the same command gives the same numbers. Asked for by number (`trainer.threads`), it is that; else
    what the user's OMP_NUM_THREADS says, else what the run began with, else `SMALL` for a model that is made here or
    a network of the agent's own and for work on a GPU, and every core for larger models.

    Args:
        cfg: the composed config.
        processes: of this run on this machine; they share its cores.
        recorded: what the run began with.
        cores: how many this run may use; `usable_cores` if None.
    """
    asked = (cfg.get("trainer") or {}).get("threads", "auto")
    own = own_number()
    each = max(1, (cores or usable_cores()) // processes)
    if asked != "auto":
        number, why = int(asked), "trainer.threads"
    elif own is not None:
        number, why = own, "OMP_NUM_THREADS"
    elif recorded is not None:
        number, why = recorded["number"], "as the run began"
    elif is_small(cfg):
        number, why = min(SMALL, each), f"a small model, {_cores(each)}"
    else:
        number, why = each, f"a large model, {_cores(each)}"
    if number != own:
        os.environ["OMP_NUM_THREADS"] = os.environ[_OURS] = str(number)
    waiting = wait(number if processes == 1 and cores is None else None)
    if "torch" in sys.modules:  # it has read the environment already
        sys.modules["torch"].set_num_threads(number)
    return Threads(number=number, waiting=waiting, why=why)


def wait(number: int | None) -> str:
    """Let threads wait briefly if each has a free core, else not at all; what the user's environment says stays.

    To be called before torch is imported, and of no effect afterwards.

    Args:
        number: of threads; None if other processes are known that will share their cores.

    Returns:
        `brief` or `passive`, or what the user says.
    """
    if _WAITING in os.environ:
        return os.environ[_WAITING]
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        if name in os.environ:
            return f"{name}={os.environ[name]}"
    brief = number is not None and number > 1 and free_cores() > number - 0.5
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if brief:
        os.environ["GOMP_SPINCOUNT"] = str(BRIEF)
    os.environ[_WAITING] = "brief" if brief else "passive"
    return os.environ[_WAITING]


def own_number() -> int | None:
    """The user's own OMP_NUM_THREADS."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(given) if given.isdecimal() and int(given) > 0 and given != os.environ.get(_OURS) else None


def is_small(cfg: Mapping[str, Any]) -> bool:
    """Whether threads gain little: the model is made here, is no language model at all, or computes on a GPU."""
    model, trainer = cfg.get("model") or {}, cfg.get("trainer") or {}
    if not model or model.get("make"):
        return True
    device = trainer.get("device", "cpu")
    return device == "cuda" or (device == "auto" and has_gpu())


def has_gpu() -> bool:
    """Whether torch can use a GPU; it is imported only where there is one, and how threads wait is settled before."""
    if not hardware()["gpu"]:
        return False
    wait(None)
    from torch.cuda import is_available

    return is_available()


def usable_cores() -> int:
    """Those this process may use: its affinity, and the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def free_cores() -> float:
    """How many of the usable cores were idle for the last moment; where that cannot be seen, by the load average."""
    before = _idle()
    if before is None:
        return usable_cores() - os.getloadavg()[0]
    time.sleep(LOOK)
    after = _idle()
    assert after is not None
    return min(usable_cores(), (after - before) / os.sysconf("SC_CLK_TCK") / LOOK)


def _idle() -> int | None:
    """Ticks for which the cores of this process's affinity have been idle since the machine started."""
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    except OSError:
        return None
    own = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    return sum(int(line[4]) + int(line[5]) for line in lines if line[0] in own)  # idle, and waiting for a disk


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"
