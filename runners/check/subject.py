"""An environment under examination, and the episodes that were played in it."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from agentlab_runner.runners.check.trace import Trace, name_of
from agentlab_runner.runners.experiment import Parser
from agentlab_runner.runners.launch import building
from agentlab_runner.runners.online.contract import check
from agentlab_runner.runners.online.rollout import EVAL, episode_seeds
from agentlab_runner.runners.types import Start

PATIENCE = 2.0
"""Seconds in which what an environment started may end after `close`."""


class Environment:
    """One environment under examination.

    Args:
        settings: its node, without `num_envs`.
        parser: that comes with it, or None.
        episodes: of each player that knows nothing.
    """

    def __init__(self, settings: Mapping[str, Any], parser: Parser | None, episodes: int) -> None:
        self.settings, self.parser = settings, parser
        seeds = episode_seeds(0, EVAL, count=episodes)
        self.starts = [Start(number, seed, {"episode": number}) for number, seed in enumerate(seeds)]
        self.random: list[Trace] = []
        self.idle: list[Trace] = []
        self.name = str(settings.get("_target_"))
        self.declared: dict[str, Any] = {}
        """`observation_space`, `action_space` and `metadata`, as far as there are any."""
        self.left: list[str] = []
        """What instances that were closed have left running."""

    @property
    def traces(self) -> list[Trace]:
        return [*self.random, *self.idle]

    @contextmanager
    def opened(self, worker: int = 0) -> Iterator[Any]:
        """An instance, which is closed behind; what it leaves running is noted.

        Raises:
            UserError: if it refuses its settings.
            ConnectionError: if what it needs beside this machine is not there.
        """
        before = _running()
        with building():
            env = instantiate(self.settings, worker=worker, _convert_="all")
        try:
            check(env)
            self.name = name_of(env)
            known = ("observation_space", "action_space", "metadata")
            self.declared = {name: getattr(env, name, None) for name in known}
            yield env
        finally:
            env.close()
        self.left += _left(before)


def _running() -> tuple[set[int], set[int] | None]:
    """Threads and child processes of this process; None where the system does not tell of processes."""
    return {thread.ident or 0 for thread in threading.enumerate()}, _children()


def _left(before: tuple[set[int], set[int] | None]) -> list[str]:
    until = time.monotonic() + PATIENCE
    while True:
        found = [f"the thread {t.name}" for t in threading.enumerate() if (t.ident or 0) not in before[0]]
        if before[1] is not None:
            found += [f"the process {pid}" for pid in (_children() or set()) - before[1]]
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.05)


def _children() -> set[int] | None:
    """By Linux's own table; those that have ended and were not waited for are none."""
    files = list(Path("/proc/self/task").glob("*/children"))
    if not files:
        return None
    found: set[int] = set()
    for file in files:
        try:
            pids = [int(pid) for pid in file.read_text().split()]
            found |= {pid for pid in pids if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"}
        except OSError:  # a thread or a child has ended meanwhile
            continue
    return found
