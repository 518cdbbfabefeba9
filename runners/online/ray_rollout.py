"""Environments on Ray actors, on this machine or on many; the policy stays where it is."""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gymnasium

from agentlab_runner.runners.config.extras import install
from agentlab_runner.runners.config.modules import found_modules
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.online.ray_cluster import Cluster
from agentlab_runner.runners.online.ray_worker import Envs
from agentlab_runner.runners.online.rollout import Rollout
from agentlab_runner.runners.processes.threads import own_number
from agentlab_runner.runners.types import Observation, StopReason

try:
    import ray
    from ray.exceptions import RayActorError
except ImportError:
    ray = None

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from agentlab_runner.runners.processes.trainer import Trainer

log = logging.getLogger(__name__)

TRIES = 3
"""How many workers may die on the same reset before its environment is given up."""
PLACE = 60.0
"""Seconds a worker may take to begin before it is asked whether the cluster has room for it."""


class RayRollout(Rollout):
    """A rollout whose environments live on workers, each a process that Ray starts, watches and replaces.

    The episodes are those of a local rollout: decisions are made here, for all live environments at once, in the same
    order. A worker that dies, alone or with its node, loses the episodes it was playing; they end with
    `StopReason.DEVICE_LOST`, and the next ones are played on the worker that replaces it. Where this process's own node
    or the head of the cluster dies, playing raises RolloutLost.

    Args:
        env: the environment's node, without `num_envs`.
        num_envs: environments in all, dealt to the workers in turn.
        trainer: whose processes share them.
        workers: how many.
        address: of a Ray cluster (`auto`: the one this machine is a part of); null starts one on this machine.
        cpus: what a worker reserves. Training and evaluation have workers of their own and never play at once.

    Raises:
        UserError: if Ray is not installed, or the cluster has not as many CPUs.
        ConnectionError: if there is no cluster at the address.
    """

    def __init__(
        self,
        env: Mapping[str, Any],
        num_envs: int,
        trainer: "Trainer",
        workers: int = 2,
        address: str | None = None,
        cpus: float = 0.5,
    ) -> None:
        if ray is None:
            raise UserError(f"rollout=ray needs Ray; {install('ray')}, or use rollout=local")
        self._cluster = Cluster.at(address)
        workers = min(workers, num_envs)
        room, taken = self._cluster.room, self._cluster.reserved
        if address is not None and taken + workers * cpus > room:
            beside = f", beside {taken:g} of this run's other workers," if taken else ""
            raise UserError(
                f"{workers} rollout workers of {cpus:g} CPUs{beside} do not fit the {room:g} CPUs of the Ray cluster "
                f"at {address}; use a smaller rollout.workers or rollout.cpus, or add machines"
            )
        self._workers = [_Worker(self._cluster, dict(env), cpus) for _ in range(workers)]
        super().__init__(env, num_envs, trainer)

    def make(self, env: Mapping[str, Any], number: int) -> gymnasium.Env[Any, Any]:
        return RemoteEnv(self._workers[number % len(self._workers)], number)

    def open(self) -> None:
        """Have the workers make their environments; one that died is replaced when it is first played on."""
        asked = []
        for env in self.envs:
            assert isinstance(env, RemoteEnv)
            with suppress(RayActorError):
                asked.append(env.open())
        for reply in asked:
            with suppress(RayActorError):
                self._cluster.result(reply)

    def close(self) -> None:
        super().close()
        for worker in self._workers:
            worker.kill()


class RemoteEnv(gymnasium.Env[Any, Any]):
    """One environment of a worker, as if it were here."""

    metadata = {"blocking": True}  # noqa: RUF012

    def __init__(self, worker: "_Worker", number: int) -> None:
        self.worker = worker
        self.number = number
        self._actor: ActorHandle[Any] | None = None
        """Who plays the episode under way."""
        self._seen: Observation = {}

    def open(self) -> Any:
        """Ask the worker to make it; gives what to wait for."""
        actor = self.worker.actor()
        self.worker.wait_for_room(actor)
        return actor.open.remote(self.number)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        fault: RayActorError | None = None
        for _ in range(TRIES):
            self._actor = self.worker.actor(instead_of=self._actor if fault else None)
            try:
                self.worker.wait_for_room(self._actor)
                reply = self._actor.reset.remote(self.number, seed, options)
                self._seen, info = self.worker.cluster.result(reply)
            except RayActorError as error:
                fault = error
            else:
                return self._seen, info
        raise ConnectionError(f"environment {self.number} ended {TRIES} rollout workers one after the other: {fault}")

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        assert self._actor is not None
        try:
            self._seen, *outcome = self.worker.cluster.result(self._actor.step.remote(self.number, action))
        except RayActorError as error:
            self.worker.cluster.check()
            log.warning("a rollout worker died and is replaced; the episode in environment %d is lost", self.number)
            info: dict[str, Any] = {"success": False, "parsed": None, "parse_failed": False, "marks": []}
            return self._seen, 0.0, False, True, info | {"stop": StopReason.DEVICE_LOST.value, "fault": str(error)}
        reward, terminated, truncated, info = outcome
        return self._seen, reward, terminated, truncated, info


class _Worker:
    """A seat for one actor at a time."""

    def __init__(self, cluster: Cluster, env: dict[str, Any], cpus: float) -> None:
        self.cluster = cluster
        self._env = env
        self._cpus = cpus
        self._lock = threading.Lock()
        self._ready: ActorHandle[Any] | None = None
        self._actor = self._start()
        cluster.reserved += cpus

    def actor(self, instead_of: "ActorHandle[Any] | None" = None) -> "ActorHandle[Any]":
        """Who sits here now; somebody new if that is the one to be replaced."""
        with self._lock:
            if self._actor is instead_of:
                self._actor = self._start()
            return self._actor

    def kill(self) -> None:
        self.cluster.reserved -= self._cpus
        ray.kill(self._actor)

    def wait_for_room(self, actor: "ActorHandle[Any]") -> None:
        """Wait until an actor has begun.

        Raises:
            ConnectionError: if the cluster has no room for it.
        """
        while actor is not self._ready:
            try:
                self.cluster.result(actor.__ray_ready__.remote(), limit=PLACE)
                self._ready = actor
            except TimeoutError:
                room, needed = self.cluster.room, self.cluster.reserved
                if needed > room:
                    raise ConnectionError(
                        f"the rollout workers need {needed:g} CPUs and the Ray cluster has no more than {room:g} left"
                    ) from None
                log.warning("a rollout worker still waits to begin; the Ray cluster may be full of other work")

    def _start(self) -> "ActorHandle[Any]":
        # torch, where an environment imports it, would otherwise take every core in every worker
        plain = {"env_vars": {"OMP_NUM_THREADS": str(own_number() or 1)}}
        remote = ray.remote(num_cpus=self._cpus, scheduling_strategy="SPREAD", runtime_env=plain)(Envs)
        here, modules = os.getcwd(), found_modules()  # Ray searches this folder first, whether this process does or not
        added = here if here in modules or here not in sys.path else None
        actor: ActorHandle[Any] = remote.remote(self._env, modules, added)
        return actor
