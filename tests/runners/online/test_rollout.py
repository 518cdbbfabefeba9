"""Rollout: order, batching, seeds, and devices that go away."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import ClassVar

import gymnasium
import numpy as np
import pytest

from agentlab_runner.runners.errors import RunFailed
from agentlab_runner.runners.online.evaluation import summarise, uncounted
from agentlab_runner.runners.online.rollout import Rollout, Start, collect, demonstrate, episode_seeds, play
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import Decision, Observation, StopReason, Trajectory


class Countdown(gymnasium.Env):
    """Succeeds when the action equals the seed's last digit; fails on 9; truncates after three steps."""

    def __init__(self, broken: bool = False, blocking: bool = False):
        self.broken = broken
        self.metadata = {"blocking": blocking}

    def reset(self, *, seed=None, options=None):
        if self.broken:
            raise ConnectionError("phone 7 does not answer; plug it in")
        self.goal, self.time = seed % 10, 0
        return {"text": f"{seed}"}, {"task": f"goal{self.goal}", "goal": "count"}

    def step(self, action):
        self.time += 1
        success = action == self.goal
        return {"text": f"t{self.time}"}, float(success), success or action == 9, self.time == 3, {"success": success}


class Scripted:
    """Always answers the same; remembers the batch sizes and episodes it saw."""

    def __init__(self, action: int = 0):
        self.action, self.batches, self.begun, self.ended = action, [], [], 0

    def begin(self, episodes: Sequence[int]) -> None:
        self.begun += episodes

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        self.batches.append(len(observations))
        return [Decision(self.action) for _ in observations]

    def end(self, trajectories) -> None:
        self.ended += len(trajectories)


def test_episodes_come_back_in_the_order_of_their_seeds():
    agent = Scripted(3)
    played = collect(agent, [Countdown() for _ in range(4)], [13, 20, 3, 41, 53, 60, 7])
    assert [t.seed for t in played] == [13, 20, 3, 41, 53, 60, 7]
    assert [t.success for t in played] == [True, False, True, False, True, False, False]
    assert [len(t.steps) for t in played] == [1, 3, 1, 3, 1, 3, 3]
    assert sorted(agent.begun) == list(range(7))
    assert agent.ended == 7


def test_free_slots_are_filled_so_that_batches_stay_full():
    agent = Scripted(0)
    collect(agent, [Countdown() for _ in range(4)], [10] * 8)
    assert agent.batches == [4, 4]


def test_a_slot_stays_with_the_kind_of_episode_it_has_played():
    """Three kinds in turn on three slots, the second three times as long: each keeps its own while there is one."""

    class Noting(Countdown):
        def __init__(self, keeps):
            super().__init__()
            self.metadata, self.played = {"keeps_task": keeps}, []

        def reset(self, *, seed=None, options=None):
            self.played.append(options["episode"])
            return super().reset(seed=seed, options=options)

    envs = [Noting(False) for _ in range(3)]
    played = collect(Scripted(3), envs, [13, 20, 33] * 4)
    assert sorted(envs[0].played) == envs[0].played, "nothing is kept: whatever comes next"
    envs = [Noting(True) for _ in range(3)]
    played = collect(Scripted(3), envs, [13, 20, 33] * 4)
    assert [t.seed for t in played] == [13, 20, 33] * 4
    assert [env.played for env in envs] == [[0, 3, 6, 9, 7], [1, 4], [2, 5, 8, 11, 10]]


@pytest.mark.parametrize(("seed", "action", "stop"), [(4, 4, "success"), (4, 9, "failure"), (4, 1, "horizon")])
def test_why_an_episode_stopped_is_data(seed, action, stop):
    (trajectory,) = collect(Scripted(action), [Countdown()], [seed])
    assert trajectory.stop is StopReason(stop)
    assert trajectory.task == "goal4"


class Measured(Countdown):
    """Says what it measures at every step, and ends as it is told."""

    def __init__(self, stop: str | None = None):
        super().__init__()
        self.stop = stop

    def step(self, action):
        *seen, info = super().step(action)
        said = info | {"measures": {"time": self.time}, "scores": {"left": 3 - self.time}, "episode_return": self.time}
        if self.stop:
            return seen[0], seen[1], False, True, said | {"success": False, "stop": self.stop, "reason": "because"}
        return *seen, said


class Quitter(Scripted):
    """Gives up at its second decision of an episode."""

    def act(self, observations, deterministic):
        return [
            Decision(None, {"calls": []}, "no way on") if one["text"].startswith("t") else Decision(self.action)
            for one in observations
        ]


def test_an_agent_that_gives_up_ends_its_episode_and_its_action_goes_nowhere():
    agent = Quitter(1)
    played = collect(agent, [Measured(), Measured()], [2, 3, 4, 21])
    assert [trajectory.stop for trajectory in played] == [StopReason.GAVE_UP] * 3 + [StopReason.SUCCESS]
    first = played[0]
    assert (first.reason, first.success, len(first.steps), first.steps[-1].reward) == ("no way on", False, 2, 0.0)
    assert first.measures == {"time": 1.0}  # as it stood
    assert first.episode_return == 1.0
    assert first.final_observation is first.steps[-1].observation
    assert agent.ended == 4
    (at_once,) = collect(Quitter(1), [Countdown()], [3])
    assert at_once.measures == {}


@pytest.mark.parametrize("stop", list(StopReason))
def test_an_environment_may_say_any_reason(stop):
    if stop is StopReason.SUCCESS:
        return
    (played,) = collect(Scripted(1), [Measured(stop.value)], [5])
    assert (played.stop, played.reason, played.measures) == (stop, "because", {"time": 1.0})
    summary = summarise([played])
    apart = stop in (StopReason.DEVICE_LOST, StopReason.ERROR, StopReason.CANCELLED)
    assert (summary["episodes"], summary["success"]) == ((0, None) if apart else (1, 0.0))
    assert summary["stops"] == {stop.value: 1}
    if apart:
        assert summary[stop.value] == 1
        assert uncounted(summary) == f"no episode says anything of the agent: 1 {stop.value} (because)"


def test_episodes_are_given_as_they_end_and_keep_their_numbers():
    starts = [Start(number, seed, {"episode": 0}) for number, seed in ((7, 1), (2, 3), (9, 5))]
    agent = Scripted(3)
    ends: list[tuple[int, Trajectory]] = list(play(agent, [Countdown()], starts))
    assert [number for number, _ in ends] == agent.begun == [7, 2, 9]
    assert [trajectory.success for _, trajectory in ends] == [False, True, False]


@pytest.mark.parametrize("blocking", [False, True])
def test_a_dead_device_is_retired_and_its_episodes_are_played_elsewhere(blocking, caplog):
    envs = [Countdown(broken=True, blocking=blocking), Countdown(blocking=blocking), Countdown(blocking=blocking)]
    played = collect(Scripted(1), envs, [1, 2, 3, 4, 5])
    assert [t.seed for t in played] == [1, 2, 3, 4, 5]
    assert "phone 7 does not answer" in caplog.text


def test_no_device_left_is_said_in_one_sentence():
    with pytest.raises(RunFailed, match="no environment is left to play 2 more episodes"):
        collect(Scripted(1), [Countdown(broken=True)], [1, 2])


def test_seed_streams_do_not_meet_and_do_not_move():
    one, two = episode_seeds(0, 0, 1, count=50), episode_seeds(0, 0, 2, count=50)
    assert not set(one) & set(two)
    assert episode_seeds(0, 0, 1, count=50)[:3] == one[:3]


def test_a_scripted_user_looks_inside_the_environment():
    class User:
        def begin(self, env, seed):
            self.seed = seed

        def decide(self, env):
            return env.unwrapped.goal

    played = demonstrate(User(), Countdown(), [12, 27])
    assert all(t.success for t in played)


def test_a_group_begins_in_one_state_whatever_its_start_depends_on():
    class Listed(Countdown):
        def reset(self, *, seed=None, options=None):
            observation, info = super().reset(seed=seed)
            return observation, info | {"task": f"{seed}/{options['episode']}"}

    played = collect(Scripted(0), [Listed() for _ in range(4)], [13, 20, 3], group_size=2)
    assert [t.seed for t in played] == [13, 13, 20, 20, 3, 3]
    assert [t.task for t in played] == ["13/0", "13/0", "20/1", "20/1", "3/2", "3/2"]


class Screens(gymnasium.Env):
    """Shows one of two large screens, drawn anew each time into one array."""

    metadata = {}  # noqa: RUF012

    def __init__(self):
        self.canvas = np.zeros((64, 64, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        self.left = 4
        return self._look(), {}

    def step(self, action):
        self.left -= 1
        return self._look(), 0.0, self.left == 0, False, {"success": False}

    def _look(self):
        self.canvas[:] = self.left % 2
        return {"text": "look", "image": self.canvas}


@pytest.mark.parametrize("demonstrated", [False, True])
def test_each_distinct_screen_is_kept_once(demonstrated):
    if demonstrated:
        user = SimpleNamespace(begin=lambda env, seed: None, decide=lambda env: 0)
        episodes = demonstrate(user, Screens(), range(3), lambda _: None)
    else:
        episodes = collect(Scripted(), [Screens(), Screens()], range(5))
    seen = [one for e in episodes for one in (*(step.observation for step in e.steps), e.final_observation)]
    assert [one["image"][0, 0, 0] for one in seen[:5]] == [0, 1, 0, 1, 0]
    assert len({id(one.entries["image"]) for one in seen}) == 2


class Guarded(Countdown):
    """Counts how often it is asked, and closed."""

    asked: ClassVar[list[str]] = []

    def __init__(self, worker: int = 0, there: bool = True):
        super().__init__()
        self.there = there

    def check(self):
        self.asked.append("asked")
        if not self.there:
            raise ConnectionError("the judge does not answer")

    def close(self):
        self.asked.append("closed")


@pytest.mark.parametrize("there", [True, False])
def test_what_an_environment_needs_is_asked_for_once_before_anything_is_played(there):
    Guarded.asked.clear()
    env = {"_target_": f"{__name__}.Guarded", "there": there}
    if there:
        Rollout(env, 3, Trainer()).close()
    else:
        with pytest.raises(ConnectionError, match="the judge does not answer"):
            Rollout(env, 3, Trainer())
    assert Guarded.asked == ["asked", "closed", "closed", "closed"]
