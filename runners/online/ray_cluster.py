"""The Ray cluster of this process, watched from a thread so that nothing here waits for ever for one that is gone.

Ray's own calls may never return once the process they talk to has died: neither those that play an episode, nor those
that would tell whether the cluster lives, nor the disconnection at the end of the program. So the question is asked in
threads that may be abandoned, and what is waited for is given up as soon as the answer is no.
"""

import atexit
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from agentlab_runner.runners.errors import RolloutLost

try:
    import ray
    from ray.exceptions import RayTaskError
except ImportError:
    ray = None

PERIOD = 3.0
"""Seconds between two questions whether the cluster lives. Ray itself needs about 15 to notice that a node does not."""
ANSWER = 15.0
"""Seconds it has to answer. Ray ends a process whose cluster has had no head for a minute; until then it can save."""
ENDING = 30.0
"""Seconds the program may take to disconnect at its end."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the head of the cluster answers."""

    here: bool
    """Whether the node that this process belongs to is alive."""
    room: float
    """CPUs of all nodes that are alive."""


class Cluster:
    """A cluster that this process is connected to; there is one at a time."""

    _known: ClassVar["Cluster | None"] = None

    @classmethod
    def at(cls, address: str | None) -> "Cluster":
        """The cluster at an address, or, if that is None, one started on this machine.

        Raises:
            ConnectionError: if none answers there.
        """
        if cls._known is None or not ray.is_initialized():
            _connect(address)
            cls._known = cls()
        return cls._known

    def __init__(self) -> None:
        self.reserved = 0.0
        """CPUs that the workers of this process have asked for."""
        self.room = float(ray.cluster_resources().get("CPU", 0.0))
        """CPUs of all nodes, as was last heard."""
        self._node = ray.get_runtime_context().get_node_id()
        self._lost: str | None = None
        self._ending = threading.Event()
        atexit.register(self._ending.set)
        threading.Thread(target=self._watch, name="ray watch", daemon=True).start()

    def check(self) -> None:
        """Raises:
        RolloutLost: if the cluster is gone.
        """
        if self._lost:
            raise RolloutLost(self._lost)

    def result(self, reference: Any, limit: float | None = None) -> Any:
        """What a call to an actor gives, however long it takes, as long as the cluster lives.

        Raises:
            RolloutLost: if the cluster is gone.
            TimeoutError: after `limit` seconds.
            Exception: what was raised there, in its own words.
        """
        self.check()
        future = reference.future()
        until = None if limit is None else time.monotonic() + limit
        while not wait([future], timeout=PERIOD if limit is None else min(PERIOD, limit)).done:
            self.check()
            if until is not None and time.monotonic() > until:
                raise TimeoutError
        try:
            return future.result()
        except RayTaskError as fault:  # its text is the whole traceback of the other process
            raise (fault.cause if isinstance(fault.cause, Exception) else fault) from fault

    def _watch(self) -> None:
        while not self._lost and not self._ending.wait(PERIOD):
            state = self._ask()
            if self._is_left():
                return
            if state is None:
                self._lost = "the head of the Ray cluster does not answer any more"
            elif not state.here:
                self._lost = "the Ray node on this machine has died"
            else:
                self.room = state.room
        while not self._ending.wait(PERIOD):
            if self._is_left():
                return
        time.sleep(ENDING)  # Ray disconnects when Python ends, and may wait for the dead
        os._exit(1 if self._lost else 0)

    def _is_left(self) -> bool:
        """Whether somebody called ray.shutdown."""
        return not ray.is_initialized() or self is not Cluster._known

    def _ask(self) -> _State | None:
        """The state of the cluster, None if it is not told in time."""
        answers: list[_State] = []

        def ask() -> None:
            with suppress(Exception):  # of several unrelated kinds, where nobody answers
                alive = [node for node in ray.nodes() if node["Alive"]]
                here = any(node["NodeID"] == self._node for node in alive)
                answers.append(_State(here, sum(node["Resources"].get("CPU", 0.0) for node in alive)))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(ANSWER)
        return answers[0] if answers else None


def _connect(address: str | None) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    with _signals_kept():
        if address is None:
            # `local`: without an address Ray would join whatever cluster RAY_ADDRESS names or happens to be here.
            ray.init(address="local", num_cpus=max(256, os.cpu_count() or 1), include_dashboard=False, **quiet)
            return
        try:
            _knock(address)
            ray.init(address=address, **quiet)
        except Exception as fault:  # ray raises several unrelated kinds
            raise ConnectionError(
                f"no Ray cluster answers at {address} ({' '.join(str(fault).split())}); start one with "
                "`ray start --head` on one machine and `ray start --address=HEAD:6379` on the others, or use "
                "rollout.address=null"
            ) from fault


def _knock(address: str) -> None:
    """Raise OSError if nobody listens there; Ray itself would go on asking for minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "//" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts its own handler for SIGTERM in place of the run's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
