"""How many threads a run computes with and how they wait for each other, settled before torch is imported.

Threads that wait for the next piece of work spin for milliseconds as torch comes. That is well spent while every
thread has a core to itself; where somebody else computes too, each spins away the time the other needs to finish.
A small model's pieces take microseconds, so on two cores shared with one other process it went three times slower.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

SMALL = 2
"""Threads for a model so small that more of them only wait for each other."""
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables that say how threads wait; the latter two are those of GNU's and of Intel's and LLVM's OpenMP."""
_OURS = "AGENTLAB_OMP_NUM_THREADS"
"""Holds what was put into OMP_NUM_THREADS here, which processes started later must not take for the user's own."""


class Threads(TypedDict):
    """What the manifest says of them."""

    number: int
    """In each process of the run."""
    waiting: str
    """`passive`, or what the user's environment says of it."""
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
        cores: how many this run may use; those of `cores()` if None.
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
    waiting = wait()
    if "torch" in sys.modules:  # it has read the environment already
        sys.modules["torch"].set_num_threads(number)
    return Threads(number=number, waiting=waiting, why=why)


def wait() -> str:
    """Let threads wait without spinning unless the user's environment says how; of no effect once torch is imported."""
    own = next((name for name in _WAITING if name in os.environ), None)
    if own is None:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    return os.environ["OMP_WAIT_POLICY"].lower() if own in (None, "OMP_WAIT_POLICY") else f"{own}={os.environ[own]}"


def own_number() -> int | None:
    """The user's own OMP_NUM_THREADS."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(given) if given.isdecimal() and int(given) > 0 and given != os.environ.get(_OURS) else None


def is_small(cfg: Mapping[str, Any]) -> bool:
    """Whether threads gain little: the model is made here, is no language model at all, or computes on a GPU."""
    model, trainer = cfg.get("model") or {}, cfg.get("trainer") or {}
    return not model or bool(model.get("make")) or trainer.get("device", "cpu") == "cuda"


def usable_cores() -> int:
    """Those this process may use: its affinity, and the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"
