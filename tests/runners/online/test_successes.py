"""What training did right is recorded once, bounded for each task, and counted on when a run goes on."""

import dataclasses
import json

import pytest

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.online.experiment import OnlineExperiment
from agentlab_runner.runners.online.rollout import collect, replay
from agentlab_runner.runners.online.successes import Successes
from agentlab_runner.runners.run.episodes import load_episodes
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory
from tests.runners.online.test_online import config, numbers, train
from tests.runners.toy import Gambler, Guess


class Renewed(Guess):
    """Says how each of its episodes begins again; which of two tasks it is, and its goal, follow from the seed."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        restart = {"task": f"guess-{seed % 2}", "start": seed % 5}
        return observation, {**info, "task": restart["task"], "restart": restart}


class Muddled(Guess):
    def __init__(self, said, wrong):
        super().__init__()
        self.said, self.wrong = said, wrong

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        return observation, {**info, self.said: self.wrong}


def played(task="a", goal="g", seed=0, success=True, **restart):
    step = Step({"text": "now"}, Decision(1), 1.0)
    stop = StopReason.SUCCESS if success else StopReason.FAILURE
    return Trajectory((step,), {"text": "end"}, stop, success, seed, task, goal, restart=restart)


def recorded(run):
    return load_episodes(run.path / "episodes" / "successes")


def names(run):
    return sorted(file.name for file in (run.path / "episodes" / "successes").iterdir() if file.name != "frames")


@pytest.fixture
def run(tmp_path):
    return Run.create(config(), tmp_path, ["test"], path=tmp_path / "run")


def test_each_start_is_recorded_once_and_failures_never(run):
    Successes(run, 9).record(
        [played(seed=1), played(seed=1), played(seed=2), played(goal="h", seed=1), played(seed=3, success=False),
         played(seed=4, page=7), played(seed=5, page=7), played("b", seed=1)],
        step=3,
    )  # fmt: skip
    assert [(one.task, one.goal, one.seed) for one in recorded(run)] == [
        ("a", "g", 1), ("a", "g", 2), ("a", "h", 1), ("a", "g", 4), ("b", "g", 1),
    ]  # fmt: skip
    assert json.loads((run.path / "episodes/successes/000/episode.json").read_text())["step"] == 3


def test_the_bound_is_of_each_task_and_counts_what_is_there(run):
    Successes(run, 2).record([played("a", seed=seed) for seed in range(5)] + [played("b", seed=9)], step=1)
    first = {one.seed for one in recorded(run) if one.task == "a"}
    again = Successes(run, 2)
    again.record([played("a", seed=seed) for seed in range(5)] + [played("b", seed=9), played("b", seed=8)], step=2)
    assert {one.seed for one in recorded(run) if one.task == "a"} == first
    assert sorted(one.seed for one in recorded(run) if one.task == "b") == [8, 9]
    assert len(names(run)) == 4


def test_of_more_than_the_bound_a_fair_sample_is_kept(tmp_path):
    early = []
    for number in range(30):
        run = Run.create(config(), tmp_path, ["test"], path=tmp_path / str(number))
        keeper = Successes(run, 4)
        for step in range(10):
            keeper.record([played(seed=1000 * number + 4 * step + one) for one in range(4)], step)
        seeds = [one.seed - 1000 * number for one in recorded(run)]
        assert len(seeds) == 4
        early += [seed < 20 for seed in seeds]
    assert 0.35 < sum(early) / len(early) < 0.65  # keeping the first ones would make it 1


def test_what_is_kept_does_not_depend_on_the_order(tmp_path):
    kept = []
    for order in (range(12), reversed(range(12))):
        run = Run.create(config(), tmp_path, ["test"], path=tmp_path / str(len(kept)))
        Successes(run, 3).record([played(seed=seed) for seed in order], step=1)
        kept.append(sorted(one.seed for one in recorded(run)))
    assert kept[0] == kept[1]


def test_none_are_recorded_unless_asked(run):
    Successes(run, 0).record([played()], step=1)
    assert not (run.path / "episodes").exists()


def test_a_number_is_given_once_though_one_was_deleted(run):
    Successes(run, 5).record([played(seed=seed) for seed in range(3)], step=1)
    (run.path / "episodes/successes/001/episode.json").unlink()
    (run.path / "episodes/successes/001").rmdir()
    Successes(run, 5).record([played(seed=8)], step=2)
    assert names(run) == ["000", "002", "003"]


def test_a_damaged_one_is_refused_by_name(run):
    Successes(run, 5).record([played()], step=1)
    (run.path / "episodes/successes/000/episode.json").write_text("{}")
    with pytest.raises(UserError, match=r"successes/000/episode.json is damaged \('task'\); delete its folder"):
        Successes(run, 5)


def test_an_episode_knows_how_it_begins_again():
    trajectories = collect(Gambler(), [Renewed()], [3, 6])
    assert [one.restart for one in trajectories] == [{"task": "guess-1", "start": 3}, {"task": "guess-0", "start": 1}]
    assert [one.restart for one in collect(Gambler(), [Guess()], [3])] == [{}]


def test_a_restart_that_is_no_set_of_options_is_refused():
    with pytest.raises(ValueError, match=r"Muddled\.reset says restart='again', but it is the options"):
        collect(Gambler(), [Muddled("restart", "again")], [3])


def test_conditions_that_are_no_texts_are_refused():
    with pytest.raises(ValueError, match=r"Muddled\.reset says conditions=\{'pages': 3\}, but they are texts by name"):
        collect(Gambler(), [Muddled("conditions", {"pages": 3})], [3])


class Choosy(Guess):
    """Raises what an environment does that is given options and actions of another's."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed + len(options["task"]))

    def step(self, action):
        return super().step(action + 0)


def test_what_another_environment_recorded_is_played_again_by_none():
    def recorded(action, **restart):
        return dataclasses.replace(played(task="guess"), restart=restart, steps=(Step({}, Decision(action), 0.0),))

    assert replay(Choosy(), recorded(3), 0).success
    assert replay(Choosy(), recorded("3"), 0) is None
    assert replay(Choosy(), recorded([3]), 0) is None
    assert replay(Choosy(), recorded(3, page=7), 0) is None
    assert replay(Choosy(), recorded(3, task=7), 0) is None


def test_a_run_that_was_stopped_has_recorded_what_one_that_was_not(tmp_path):
    asked = {
        "record_successes": 3,
        "env._target_": "tests.runners.online.test_successes.Renewed",
        "checkpoint.every": 1,
    }
    whole = train(config(**asked), tmp_path / "whole")
    with pytest.raises(RuntimeError):
        train(config(**asked, **{"agent.crash_at": 4}), tmp_path / "stopped")
    with Run.open(tmp_path / "stopped") as stopped:
        OnlineExperiment(config(**asked)).train(stopped)
    assert numbers(stopped) == numbers(whole)
    assert [dataclasses.replace(one, steps=(), final_observation={}) for one in recorded(stopped)] == [
        dataclasses.replace(one, steps=(), final_observation={}) for one in recorded(whole)
    ]
    assert {one.task for one in recorded(whole)} == {"guess-0", "guess-1"}
