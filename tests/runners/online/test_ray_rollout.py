"""Environments on real Ray workers of this machine."""

import os
from collections.abc import Iterator

import pytest

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.online.rollout import Rollout
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import Decision, StopReason

ray = pytest.importorskip("ray")

from agentlab_runner.runners.online.ray_rollout import RayRollout  # noqa: E402

ENV = {"_target_": "tests.runners.dice.Dice"}

pytestmark = pytest.mark.slow  # Ray takes half a minute to start


class Player:
    """Says nothing, but for the one thing it says on the second step of an episode."""

    def __init__(self, **said: str):
        self.said = {int(name[1:]): word for name, word in said.items()}

    def begin(self, episodes):
        self.waiting = list(episodes)

    def act(self, observations, deterministic):
        return [Decision(self._choose(observation)) for observation in observations]

    def end(self, trajectories):
        pass

    def _choose(self, observation):
        return self.said.get(int(observation["image"][0, 0, 0]), "") if observation["text"] == "1" else ""


@pytest.fixture(scope="module")
def trainer() -> Iterator[Trainer]:
    yield Trainer()
    ray.shutdown()


def seen(trajectories):
    return [
        ([(s.observation["image"].tolist(), s.reward) for s in t.steps], t.stop, t.seed, t.task, t.level)
        for t in trajectories
    ]


def test_a_cluster_that_is_not_there_is_named():
    with pytest.raises(ConnectionError, match=r"no Ray cluster answers at 127\.0\.0\.1:1 .*ray start --head"):
        RayRollout(ENV, 1, Trainer(), address="127.0.0.1:1")


@pytest.mark.slow
def test_workers_play_what_is_played_here_and_a_dead_one_loses_its_episodes_alone(trainer):
    seeds = list(range(20, 28))  # the ninth episode ends its process
    local = Rollout(ENV, 4, trainer).collect(Player(), seeds)
    rollout = RayRollout(ENV, 4, trainer, workers=2)
    try:
        remote = rollout.collect(Player(), seeds)
        assert seen(remote) == seen(local)
        processes = {trajectory.goal for trajectory in remote}
        assert len(processes) == 2
        assert str(os.getpid()) not in processes

        victim = local[2].steps[1].observation["image"][0, 0, 0]  # what episode 2 shows before its second step
        disturbed = rollout.collect(Player(**{f"_{victim}": "die"}), seeds)
        lost = [i for i, trajectory in enumerate(disturbed) if trajectory.stop is StopReason.DEVICE_LOST]
        assert lost == [0, 2]  # both were on worker 0, which has environments 0 and 2
        assert len(disturbed[2].steps) == 2
        assert len(disturbed[0].steps) in (2, 3)  # its second throw came before the worker's death or after
        whole = [i for i in range(len(seeds)) if i not in lost]
        assert [t[:3] for i, t in enumerate(seen(disturbed)) if i in whole] == [
            t[:3] for i, t in enumerate(seen(local)) if i in whole
        ]
        assert len({trajectory.goal for trajectory in disturbed}) == 3  # the replacement has taken over
    finally:
        rollout.close()


@pytest.mark.slow
def test_faults_of_an_environment_are_told_as_they_are(trainer):
    with pytest.raises(ValueError, match=r"^the task set is empty$"):  # not the traceback of another process
        RayRollout({**ENV, "flaw": "the task set is empty"}, 1, trainer, workers=1)  # before anything is played


@pytest.mark.slow
def test_an_episode_that_ends_every_worker_does_not_end_the_machine(trainer):
    rollout = RayRollout(ENV, 1, trainer, workers=1)
    with pytest.raises(RunFailed, match="no environment is left to play 2 more"):
        rollout.collect(Player(), [1] * 10)
    rollout.close()


@pytest.mark.slow
def test_a_cluster_too_small_is_named(trainer):
    RayRollout(ENV, 1, trainer, workers=1).close()
    with pytest.raises(UserError, match=r"2 rollout workers of 1000 CPUs do not fit the \d+ CPUs"):
        RayRollout(ENV, 2, trainer, workers=2, address="auto", cpus=1000)
