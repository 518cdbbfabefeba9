"""Episodes of teams, many in a tensor: each as if it were played alone."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from agentlab_runner.envs.batched import draws
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.online.batched_rollout import play
from agentlab_runner.runners.online.evaluation import line_of, summarise
from agentlab_runner.runners.online.rollout import starts_of
from agentlab_runner.runners.run.episodes import gif, save_episodes
from agentlab_runner.runners.team_batch import TeamBatch
from agentlab_runner.runners.teams import TeamView, mixed
from agentlab_runner.runners.types import StopReason, Trajectory
from tests.runners.walkers import Walkers, Wanderer

SEEDS = [0, 5, 17, 3, 2**32 - 1, 8, 9]


def played(rows: int, seeds: Sequence[int] = SEEDS, tasks=None, deterministic: bool = False, **settings) -> TeamBatch:
    env = Walkers(num_envs=rows, **settings)
    return play(Wanderer(), env, starts_of(seeds, tasks, 1), "cpu", deterministic)


def told(trajectory: Trajectory) -> object:
    steps = [(s.decision.action, s.reward, s.observation["vector"].tolist()) for s in trajectory.steps]
    return trajectory.seed, trajectory.task, trajectory.stop, dict(trajectory.measures), steps


@pytest.mark.parametrize("rows", [2, 3, 7, 16])
def test_an_episode_does_not_depend_on_its_row(rows: int):
    alone, beside = played(1), played(rows)
    assert [told(one) for one in beside] == [told(one) for one in alone]
    assert [one.seed for one in beside] == SEEDS
    assert torch.equal(beside.final.observations, alone.final.observations)


def test_tasks_reach_their_episodes():
    names = ["few", "many", "few", "many", "many", "few", "few"]
    batch = played(3, tasks=names)
    assert [one.task for one in batch] == names
    starts = (batch.lengths.cumsum(0) - batch.lengths).tolist()
    assert [int(batch.present[at].sum()) for at in starts] == [1 if name == "few" else 3 for name in names]
    assert played(1).episodes[0].task == "own 2"


def test_an_unknown_task_is_refused():
    with pytest.raises(UserError, match="'none' is none of few, many"):
        played(1, tasks=["none"] * 7)


def test_agents_that_die_at_different_times_keep_shapes_and_count_only_while_they_live():
    batch = played(4, n=3)
    assert batch.observations.shape == (int(batch.lengths.sum()), 3, 2)
    lives = [1 + int(draws(torch.tensor([seed]), 0, 4)[0, 3] * 5) for seed in SEEDS]
    assert [one.agent_steps for one in batch] == [sum(min(life + i, 9) for i in range(3)) for life in lives]
    assert batch.agent_steps == int(batch.present.sum())
    assert [len(one.steps) for one in batch] == [min(life + 2, 9) for life in lives]
    assert not batch.rewards[~batch.present].any()


def test_episodes_are_trajectories():
    batch = played(3)
    one = batch[1]
    assert len(one.steps) == int(batch.lengths[1])
    assert sum(step.reward for step in one.steps) == pytest.approx(one.total_reward)
    assert one.episode_return == pytest.approx(one.total_reward / 2)
    assert one.stop in (StopReason.SUCCESS, StopReason.FAILURE)
    assert one.final_observation["image"].shape == (8, 32, 3)
    assert np.array_equal(one.steps[0].observation["image"], one.steps[0].observation["image"])
    assert batch[-1].seed == SEEDS[-1]
    assert [each.seed for each in batch[2:4]] == SEEDS[2:4]
    with pytest.raises(IndexError):
        batch[7]
    assert line_of(1, one)["measures"] == {"place": float(one.measures["place"])}
    assert summarise(batch)["episodes"] == 7


def test_they_are_recorded_with_pictures(tmp_path):
    batch = played(3)
    save_episodes(tmp_path, batch[:2])
    written = json.loads((tmp_path / "001" / "episode.json").read_text())
    assert written["seed"] == SEEDS[1]
    assert len(written["steps"]) == int(batch.lengths[1])
    assert (tmp_path / "frames" / f"{written['steps'][0]['frame']}.png").is_file()
    assert gif(batch[0])[:3] == b"GIF"


def test_memory_is_zero_at_an_episode_s_first_decision():
    batch = played(2)
    firsts = (batch.lengths.cumsum(0) - batch.lengths).tolist()
    assert [int(batch.extras["asked"][at]) for at in firsts] == [1] * 7
    assert batch.padded(batch.extras["asked"])[0].tolist()[: int(batch.lengths[0])] == list(
        range(1, int(batch.lengths[0]) + 1)
    )


def test_chosen_and_joined_episodes_are_the_same_ones():
    batch = played(3)
    parts = [batch.chosen(range(0, 7, 2)), batch.chosen(range(1, 7, 2))]
    again = TeamBatch.joined(parts).chosen([0, 4, 1, 5, 2, 6, 3])
    assert [told(one) for one in again] == [told(one) for one in batch]


def test_no_episode_at_all():
    batch = played(2, seeds=[])
    assert len(batch) == 0
    assert list(batch) == []


def test_a_group_begins_alike_and_is_sampled_apart():
    env = Walkers(num_envs=4)
    batch = play(Wanderer(), env, starts_of([5, 6], None, 8), "cpu", False)
    firsts = (batch.lengths.cumsum(0) - batch.lengths)[:8]
    assert torch.unique(batch.observations[firsts], dim=0).shape[0] == 1
    assert len({str(told(one)[-1]) for one in batch[:8]}) > 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("agent", "env", "says"),
    [
        (Wanderer("nan"), Walkers(2), r"in episode 0 \(seed 4\), step 0, agent 0 chose an action that is not finite"),
        (Wanderer("illegal"), Walkers(2, n=3), "chose an action that is not legal"),
        (Wanderer(), Walkers(2, stuck=True), r"step 2, agent \d has no legal action"),
    ],
)
def test_what_cannot_be_played_on_names_episode_step_and_agent(agent, env, says):
    with pytest.raises(RunFailed, match=says):
        play(agent, env, starts_of(range(4, 24), None, 1), "cpu", False)


def test_chance_is_the_episode_s_own_and_even():
    keys = mixed(torch.arange(4000))
    view = TeamView(torch.zeros(4000, 2, 1), torch.ones(4000, 2, dtype=torch.bool), None, torch.zeros(4000, 1), keys,
                    torch.arange(4000) % 7)  # fmt: skip
    chance = view.uniform(3)
    assert chance.shape == (4000, 2, 3)
    assert float(chance.min()) > 0
    assert float(chance.max()) < 1
    assert float(chance.mean()) == pytest.approx(0.5, abs=0.01)
    correlations = np.corrcoef(chance.view(4000, 6).T.numpy()) - np.eye(6)
    assert np.abs(correlations).max() < 0.06
    assert not torch.equal(chance, view.uniform(3, stream=1))


def test_environments_and_agents_draw_by_the_same_rule():
    seeds = torch.tensor([0, 1, 2, 2**32 - 1])
    first = draws(seeds, 0, 5)
    assert torch.equal(draws(seeds[[2]], 0, 5), first[[2]])
    assert not torch.equal(draws(seeds, 1, 5), first)
    many = draws(torch.arange(20000), 3, 2)
    assert float(many.mean()) == pytest.approx(0.5, abs=0.005)
    assert abs(float(np.corrcoef(many[:-1, 0], many[1:, 0])[0, 1])) < 0.02
