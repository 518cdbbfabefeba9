"""QMIX on the walkers: fixed teams alone, and it learns, replays and goes on."""

from dataclasses import replace
from typing import Any

import pytest
import torch

pytest.importorskip("torchrl")

from agentlab_runner.agents.marl.qmix import Qmix, _steps
from agentlab_runner.runners.errors import UserError
from tests.agents.marl.batches import WALKERS, batch_of, continuous, played, set_up

SMALL = {"hidden": 16, "mixing": 8, "epsilon_steps": 400, "batch_size": 128, "steps": 8}


def made(**settings: Any) -> Qmix:
    torch.manual_seed(0)
    return set_up(Qmix(WALKERS, **{**SMALL, **settings}))[0]


def learnt(agent: Qmix, batch) -> dict[str, float]:
    return dict(agent.learn(batch, set_up(Qmix(WALKERS, **SMALL))[1]))


def weights(agent: Qmix) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in agent.loss.parameters()])


def test_it_learns_to_walk():
    agent = made(lr=0.01, target_every=20, gamma=0.9)
    for iteration in range(10):
        learnt(agent, played(agent, 40, seed=40 * iteration))
    assert agent.epsilon == pytest.approx(0.05)
    batch = played(agent, 40)
    assert batch.actions[batch.present & batch.legal.all(dim=2)].float().mean() > 0.85


def test_teams_of_other_sizes_are_refused():
    with pytest.raises(UserError, match=r"exactly 3 agents.*agent=team_ppo"):
        played(made(), tasks=["few"])
    with pytest.raises(UserError, match=r"env\.actions=discrete"):
        Qmix(continuous())


def test_what_follows_a_step_is_by_hand():
    batch = batch_of([[[1.0, 3.0], [2.0, 2.0]], [[4.0, 0.0]]], terminated=[[[False] * 2, [True] * 2], [[False] * 2]],
                     truncated=[[[False] * 2] * 2, [[True] * 2]])  # fmt: skip
    final = replace(batch.final, observations=torch.full((2, 2, 2), 9.0))
    steps = _steps(replace(batch, final=final), 2)
    assert steps["next", "reward"].flatten().tolist() == [2, 2, 2]
    assert steps["next", "done"].flatten().tolist() == [False, True, True]
    assert steps["next", "terminated"].flatten().tolist() == [False, True, False]
    after = steps["next", "agents", "observation"]
    assert torch.equal(after[0], batch.observations[1])
    assert (after[1:] == 9).all()


def test_the_target_stays_until_it_is_due_and_the_rest_moves():
    agent = made(target_every=30)
    before = [p.clone() for p in agent.loss.target_local_value_network_params.flatten_keys().values()]
    learnt(agent, played(agent, 20))
    same = [torch.equal(old, new) for old, new in zip(
        before, agent.loss.target_local_value_network_params.flatten_keys().values(), strict=True)]  # fmt: skip
    assert all(same)
    learnt(agent, played(agent, 20))
    target = agent.loss.target_local_value_network_params.flatten_keys()
    own = agent.loss.local_value_network_params.flatten_keys()
    assert all(torch.equal(target[name], own[name]) for name in own.keys())  # noqa: SIM118


def test_the_oldest_steps_are_forgotten():
    agent = made(buffer_steps=50)
    assert learnt(agent, played(agent, 12))["replay/steps"] == 50
    batch = played(agent, 12, seed=90)
    learnt(agent, batch)
    assert agent._replay is not None
    kept = agent._replay["state"]
    assert (kept[:, None] == batch.state[-50:][None]).all(dim=2).any(dim=1).all()


def test_going_on_gives_the_same_numbers(tmp_path):
    agent = made()
    batches = [played(agent, 12), played(agent, 12, seed=50)]
    learnt(agent, batches[0])
    torch.save(dict(agent.state_dict()), tmp_path / "state.pt")
    torch.manual_seed(9)
    again = set_up(Qmix(WALKERS, **SMALL))[0]
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert learnt(again, batches[1]) == learnt(agent, batches[1])
    assert torch.equal(weights(again), weights(agent))


def test_several_processes_are_refused():
    class Several:
        processes = 2

    with pytest.raises(UserError, match="one process"):
        Qmix(WALKERS).setup(Several())  # type: ignore[arg-type]
