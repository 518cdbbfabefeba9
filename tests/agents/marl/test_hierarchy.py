"""Two levels: skills every few steps and on the first, whose rewards add up to those of the steps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from agentlab_runner.agents.marl.hierarchy import Hierarchy, high_batch
from agentlab_runner.agents.marl.random_team import RandomTeam
from agentlab_runner.runners.teams import TeamView
from tests.agents.marl.batches import WALKERS, batch_of, played, set_up

SMALL = {"hidden": 16, "heads": 2, "head_dim": 4}


def made(interval: int = 3, train_batch_size: int = 10, **settings: Any) -> Hierarchy:
    torch.manual_seed(0)
    high = {**SMALL, "context_size": 8, "train_batch_size": train_batch_size}
    low = {**SMALL, "network": "mlp"}
    return set_up(Hierarchy(WALKERS, interval=interval, skills=4, high=high, low=low, **settings))[0]


def learnt(agent: Hierarchy, batch) -> dict[str, float]:
    return dict(agent.learn(batch, set_up(RandomTeam(WALKERS))[1]))


def test_skills_change_on_every_interval_s_first_step_alone():
    batch = played(made(), 30)
    changes = 0
    for skills in batch.padded(batch.extras["skill"]).split(1):
        steps = skills[0]
        for t in range(1, len(steps)):
            if t % 3:
                assert torch.equal(steps[t], steps[t - 1]) or not steps[t].any()
            else:
                changes += int((steps[t] != steps[t - 1]).sum())
    assert changes > 10
    within = torch.cat([torch.arange(int(length)) for length in batch.lengths])
    assert torch.equal(batch.extras["skill_log_prob"][:, 0] != 0, within % 3 == 0)


def test_they_are_chosen_exactly_every_ten_steps_and_on_the_first(monkeypatch):
    agent, asked = made(interval=10), []
    choose = agent.high.choose

    def noted(view: TeamView, deterministic: bool) -> Any:
        asked.append(view.step.tolist())
        return choose(view, deterministic)

    monkeypatch.setattr(agent.high, "choose", noted)
    view = TeamView(torch.randn(2, 3, 2), torch.ones(2, 3).bool(), None, torch.zeros(2, 4), torch.arange(2),
                    torch.zeros(2).long())  # fmt: skip
    memory: Mapping[str, torch.Tensor] = {}
    skills = []
    for step in range(25):
        choice = agent.decide(replace(view, step=torch.tensor([step, step + 5])), memory, False)
        memory = choice.memory
        skills.append(choice.extras["skill"])
    assert asked == [[0, 5], [5, 10], [10, 15], [15, 20], [20, 25]]
    assert all(torch.equal(skills[step][0], skills[step - 1][0]) for step in range(1, 25) if step % 10)


def test_rewards_of_intervals_add_up_to_those_of_the_steps():
    batch = played(made(), 30)
    high = high_batch(batch, 3)
    assert high.lengths.tolist() == [-(-length // 3) for length in batch.lengths.tolist()]
    sums = batch.padded(batch.rewards).sum(dim=1)
    assert torch.allclose(high.padded(high.rewards).sum(dim=1), sums)
    assert torch.equal(high.actions[0], batch.extras["skill"][0])
    assert torch.equal(high.final.keys, batch.final.keys)


def test_intervals_by_hand():
    batch = batch_of(
        [[[1.0], [2.0], [3.0], [4.0]], [[5.0]]],
        terminated=[[[False], [False], [False], [True]], [[False]]],
        truncated=[[[False]] * 4, [[True]]],
    )
    extras = {"skill": torch.arange(5)[:, None], "skill_log_prob": torch.arange(5.0)[:, None]}
    high = high_batch(replace(batch, extras=extras), 3)
    assert high.rewards.flatten().tolist() == [6, 4, 5]
    assert high.actions.flatten().tolist() == [0, 3, 4]
    assert high.extras["log_prob"].flatten().tolist() == [0, 3, 4]
    assert high.terminated.flatten().tolist() == [False, True, False]
    assert high.truncated.flatten().tolist() == [False, False, True]
    assert high.lengths.tolist() == [2, 1]


def test_the_high_level_waits_for_enough_of_its_steps():
    agent = made(train_batch_size=60)
    batch = played(agent, 20)
    steps = len(high_batch(batch, 3).rewards)
    assert steps < 60 <= 2 * steps
    before = torch.cat([p.detach().flatten() for p in agent.high.parameters()])
    first = learnt(agent, batch)
    assert first["rollout/skills_waiting"] == steps
    assert torch.equal(torch.cat([p.detach().flatten() for p in agent.high.parameters()]), before)
    second = learnt(agent, batch)
    assert second["rollout/skills_waiting"] == 0
    assert "losses/high/policy_loss" in second
    assert "losses/low/policy_loss" in first
    assert not torch.equal(torch.cat([p.detach().flatten() for p in agent.high.parameters()]), before)


def test_going_on_gives_the_same_numbers_in_the_middle_of_waiting(tmp_path):
    agent = made(train_batch_size=60)
    batches = [played(agent, 20, tasks=["few", "many"]), played(agent, 20, seed=30)]
    learnt(agent, batches[0])
    torch.save(dict(agent.state_dict()), tmp_path / "state.pt")
    torch.manual_seed(9)
    again = made(train_batch_size=60)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert learnt(again, batches[1]) == learnt(agent, batches[1])
    assert torch.equal(again.context("mean"), agent.context("mean"))
    for one, other in zip(again.high.parameters(), agent.high.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_learns_to_walk():
    agent = made(interval=2, train_batch_size=100)
    agent.low._optimizer.param_groups[0]["lr"] = 0.01
    for iteration in range(6):
        learnt(agent, played(agent, 40, seed=40 * iteration))
    batch = played(agent, 40)
    assert batch.actions[batch.present & batch.legal.all(dim=2)].float().mean() > 0.9


def test_the_low_level_is_told_its_skill():
    agent = made()
    observations, skill = torch.zeros(1, 3, 2), torch.tensor([[1, 0, 3]])
    told = agent._told(observations, skill, torch.tensor([[True, True, False]]))
    assert told[0].tolist() == [[0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]]


def test_the_context_is_the_high_level_s():
    agent = made()
    learnt(agent, played(agent))
    assert {name: len(agent.context(name)) for name in ("last", "mean", "probe")} == {"last": 24, "mean": 8, "probe": 8}


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"skills": 1}, {"high": {"train_batch_size": 0}}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="greater than"):
        Hierarchy(WALKERS, **wrong)
