"""The pointer: it learns by reward alone, from words always new, and keeps all of what it learnt."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from agentlab_runner.agents.pointer.agent import PointerAgent
from agentlab_runner.agents.pointer.episodes import Successes, episode
from agentlab_runner.agents.pointer.network import PointerNetwork, batch_of
from agentlab_runner.agents.pointer.states import state_of
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory
from tests.agents.pointer.rooms import Boxes
from tests.elsewhere import elsewhere, here


def success(played):
    return sum(t.success for t in played) / len(played)


def weights(agent):
    return {name: p.detach().clone() for name, p in agent.network.named_parameters()}


def expert(room):
    """What is to be done now."""
    todo = sorted(room.right - room.open)
    return str(todo[0]) if todo else "leave"


def shown(count):
    """Demonstrated episodes."""
    played = []
    for seed in range(count):
        room, steps, ended = Boxes(), [], False
        observation, info = room.reset(seed=seed)
        while not ended:
            action = expert(room)
            after, reward, ended, _, said = room.step(action)
            steps.append(Step(observation, Decision(action), reward, said))
            observation = after
        played.append(Trajectory(tuple(steps), observation, StopReason.SUCCESS, True, seed, "boxes", info["goal"]))
    return played


@pytest.mark.parametrize(("advantage", "group"), [("gae", 1), ("grpo", 4), ("gigpo", 4)])
def test_it_learns_by_reward_alone_and_names_are_always_new(make_agent, play, advantage, group):
    agent, trainer = make_agent(advantage=advantage, group_size=group), Trainer()
    assert success(play(agent, 1000, count=32)) < 0.5
    for iteration in range(12):
        learnt = agent.learn(play(agent, iteration, count=32, group_size=group), trainer)
    assert success(play(agent, 1000, count=32, deterministic=True)) > 0.85
    assert learnt["rollout/decisions"] == agent.decisions
    assert learnt["replay/episodes"] == 64  # the bound


def test_two_boxes_need_what_is_seen_of_them(make_agent, play):
    """Which box is open only the features tell."""
    agent, trainer = make_agent(replay={"steps": 4, "batch_size": 64}), Trainer()
    for iteration in range(30):
        agent.learn(play(agent, iteration, count=32, wanted=2, boxes=3), trainer)
    assert success(play(agent, 1000, count=32, wanted=2, boxes=3, deterministic=True)) > 0.8


def test_without_goal_and_features_it_still_plays_and_learns(make_agent, play):
    agent, trainer = make_agent(), Trainer()
    for iteration in range(3):
        learnt = agent.learn(play(agent, iteration, goal=False, features=False), trainer)
    assert np.isfinite(list(learnt.values())).all()


def test_a_choice_does_not_depend_on_what_is_decided_with_it(make_agent):
    agent = make_agent()
    rooms = [Boxes(boxes=boxes) for boxes in (2, 4, 9)]
    states = [state_of(room.reset(seed=seed)[0]) for seed, room in enumerate(rooms)]
    with torch.no_grad():
        together, values = agent._policy(states)
        for row, state in enumerate(states):
            alone, value = agent._policy([state])
            assert_close(alone[0], together[row, : len(state)], rtol=1e-4, atol=1e-5)
            assert_close(value[0], values[row], rtol=1e-4, atol=1e-5)
            assert not together[row, len(state) :].exp().any()
        order, choices = [2, 0, 1] * 30, [0, 1, 1] * 30  # more than go together
        chosen, entropy, _ = agent._chosen([states[i] for i in order], choices)
        for got, i, choice in zip(chosen, order, choices, strict=True):
            assert_close(got, together[i, choice], rtol=1e-4, atol=1e-5)
    assert (entropy > 0).all()


def test_the_order_of_phrases_turns_the_policy_with_it(make_agent):
    agent = make_agent()
    observation, _ = Boxes(boxes=4).reset(seed=3)
    turned = {**observation, **{key: observation[key][::-1] for key in ("actions", "action_ids", "features")}}
    with torch.no_grad():
        (one,), (other,) = (agent._policy([state_of(seen)])[0] for seen in (observation, turned))
    assert_close(one.flip(0), other)


def test_it_is_small():
    sizes = {"features": 64, "size": 64, "layers": 3, "heads": 4}
    assert sum(p.numel() for p in PointerNetwork(**sizes).parameters()) < 2_000_000


def test_a_run_that_was_stopped_goes_on_with_the_same_numbers(make_agent, play):
    whole, first, trainer = make_agent(total_decisions=400), make_agent(total_decisions=400), Trainer()
    for iteration in range(2):
        for agent in (whole, first):
            agent.learn(play(agent, iteration), trainer)
    torch.manual_seed(77)
    resumed = make_agent(total_decisions=400)
    resumed.load_state_dict(first.state_dict())
    played = play(whole, 9)
    torch.manual_seed(3)
    expected = whole.learn(played, trainer)
    played = play(resumed, 9)
    torch.manual_seed(3)
    assert resumed.learn(played, trainer) == expected
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(whole).items())
    assert resumed._optimizer.param_groups[0]["lr"] < 3e-3


def test_another_run_gives_its_weights_and_nothing_else(make_agent, play):
    taught, fresh = make_agent(), make_agent()
    taught.learn(play(taught, 0), Trainer())
    fresh.load_weights(taught.state_dict())
    assert all(torch.equal(value, weights(fresh)[name]) for name, value in weights(taught).items())
    assert (fresh.decisions, len(fresh.successes)) == (0, 0)
    assert not fresh._optimizer.state_dict()["state"]
    other = make_agent(network={"size": 16})
    with pytest.raises(RuntimeError):
        other.load_weights(taught.state_dict())


def test_an_untaught_one_is_saved_and_loaded(make_agent, play):
    agent, other = make_agent(), make_agent()
    other.load_state_dict(agent.state_dict())
    assert play(other, 0, count=2)


def test_successes_are_bounded_by_task_and_drawn_by_task(make_agent, play):
    won = [episode(t) for t in shown(6)]
    kept = Successes(per_task=3)
    for own in won:
        kept.add("often", own, gamma=0.5)
    kept.add("once", won[0], gamma=0.5)
    assert len(kept) == 4
    torch.manual_seed(0)
    drawn = kept.draw(400)
    rare = {id(state) for state in won[0].states}
    assert 0.4 < sum(id(sample.state) in rare for sample in drawn) / 400 < 0.6
    assert {sample.gain for sample in drawn} == {1.0, 0.5}
    again = Successes(per_task=3)
    again.restore(kept.state())
    torch.manual_seed(0)
    assert [(s.choice, s.gain, s.state.key()) for s in again.draw(400)] == [
        (s.choice, s.gain, s.state.key()) for s in drawn
    ]


def test_replay_moves_towards_what_succeeded_as_far_as_it_was_better(make_agent):
    agent = make_agent(replay={"steps": 8, "batch_size": 32}, epochs=1)
    own = [episode(t) for t in shown(8)]
    states, choices = own[0].states[:1], own[0].choices[:1]
    for one in own:
        agent.successes.add("boxes", one, 1.0)
    with torch.no_grad():
        before, _, value = agent._chosen(states, choices)
    found = agent._replay(Trainer())
    with torch.no_grad():
        after, _, higher = agent._chosen(states, choices)
    assert after > before
    assert higher > value
    assert 0 < found["replay/better"] <= 1


def test_nothing_is_replayed_where_none_is_kept(make_agent, play):
    agent = make_agent(replay={"per_task": 0})
    learnt = agent.learn(play(agent, 0, count=64), Trainer())
    assert learnt["replay/episodes"] == 0
    assert "replay/loss" not in learnt


def test_demonstrations_are_imitated(make_agent, play):
    agent, reported = make_agent(imitation={"steps": 60, "batch_size": 64, "lr": 3e-3}), []
    found = agent.imitate(shown(60), Trainer(), lambda done, total, **_: reported.append((done, total)))
    assert found["imitation/accuracy"] > 0.9
    assert reported[-1] == (60, 60)
    assert success(play(agent, 1000, count=64, deterministic=True)) > 0.9


def test_a_demonstration_of_something_that_was_not_listed_is_refused(make_agent):
    step = Step(Boxes().reset(seed=0)[0], Decision("fly"), 1.0)
    odd = Trajectory((step,), {}, StopReason.SUCCESS, True, 0, "boxes")
    with pytest.raises(UserError, match="action fly was taken where"):
        make_agent().imitate([odd], Trainer(), lambda *_, **__: None)
    with pytest.raises(UserError, match="there are no demonstrations to imitate"):
        make_agent().imitate([], Trainer(), lambda *_, **__: None)


def test_lost_episodes_teach_nothing(make_agent, play):
    agent = make_agent()
    play(agent, 0, count=2)
    before = weights(agent)
    step = Step(Boxes().reset(seed=0)[0], Decision("0"), 0.0)
    agent.learn([Trajectory((step,), {}, StopReason.DEVICE_LOST, False, 0, "boxes")], Trainer())
    assert all(torch.equal(value, before[name]) for name, value in weights(agent).items())


def test_another_number_of_features_is_refused(make_agent):
    agent = make_agent()
    agent.act([Boxes().reset(seed=0)[0]], deterministic=True)
    with pytest.raises(UserError, match="phrases have 0 features where this pointer has learnt to read 2"):
        agent.act([Boxes(features=False).reset(seed=0)[0]], deterministic=True)
    mixed = [state_of(Boxes(features=has).reset(seed=0)[0]) for has in (True, False)]
    with pytest.raises(ValueError, match="phrases have 0 and 2 features; it must be one number"):
        batch_of(mixed, torch.device("cpu"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"network": {"size": 30}}, "not divisible"), ({"advantage": "grpo"}, "set group_size=N of the run")],
)
def test_what_cannot_be_is_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        PointerAgent(**settings)


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")  # they do have values
def test_an_iteration_elsewhere_is_the_same(make_agent, play):
    at_home, away = make_agent(), make_agent()
    played = play(at_home, 0)
    away.load_weights(at_home.state_dict())
    torch.manual_seed(0)
    expected = at_home.learn(played, Trainer())
    with elsewhere() as trainer:
        moved = make_agent()
        moved.setup(trainer)
        moved.load_weights(at_home.state_dict())
        moved.load_weights(here(away.state_dict()))
        torch.manual_seed(0)
        assert moved.learn(played, trainer) == pytest.approx(expected, rel=1e-3, abs=1e-3)
        play(moved, 1, count=2)
        moved.load_state_dict(here(moved.state_dict()))
        moved.learn(played, trainer)
