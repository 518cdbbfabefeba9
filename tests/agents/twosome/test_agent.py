"""The learner: it improves, keeps what is frozen, stops where it should, and resumes to the bit."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.candidates import Question
from agentlab_runner.agents.twosome.agent import TwosomeAgent
from agentlab_runner.agents.twosome.states import question_of
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import Decision, StopReason
from tests.agents.causal_models import causal, text_policy, tokenizer
from tests.agents.twosome.tidy import Tidy, length, stored


def adapters(agent: TwosomeAgent) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in agent.policy.named_parameters() if p.requires_grad}


def base(agent: TwosomeAgent) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in agent.policy.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize(("family", "algo"), [("llama", "twosome"), ("llama", "poad"), ("qwen2", "ntpo")])
def test_it_learns_to_tidy_up(make_agent, play, family, algo):
    agent, trainer = make_agent(family, algo=algo, target_kl=None), Trainer()
    assert length(play(agent, 1000, count=40)) > 3
    for iteration in range(25):
        agent.learn(play(agent, iteration), trainer)
    assert length(play(agent, 1000, count=40)) < 2.4  # two are the least


def test_what_is_frozen_stays_bit_identical(make_agent, play):
    agent = make_agent()
    question = question_of(Tidy().reset(seed=0)[0])
    weights, features = base(agent), agent.actor.scorer.features([question])[0]
    moved = adapters(agent)
    agent.learn(play(agent, 0), Trainer())
    assert all(torch.equal(value, weights[name]) for name, value in base(agent).items())
    agent.actor.scorer._frozen.clear()
    assert torch.equal(agent.actor.scorer.features([question])[0], features)
    assert any(not torch.equal(value, moved[name]) for name, value in adapters(agent).items())


def test_critic_warmup_leaves_the_actor_alone_and_annealing_follows_it(make_agent, play):
    agent, trainer = make_agent(critic_warmup=30, total_decisions=300), Trainer()
    start, critic = adapters(agent), agent.critic.v_head_mlp1.weight.clone()
    rates = []
    for iteration in range(6):
        warm = agent.decisions < 30
        before = agent.decisions
        results = agent.learn(play(agent, iteration), trainer)
        if agent.decisions == before:
            continue
        rates.append(agent._policy_optimizer.param_groups[0]["lr"])
        still = all(torch.equal(value, start[name]) for name, value in adapters(agent).items())
        assert still == warm
        assert ("losses/policy_loss" in results) != warm
        assert rates[-1] == pytest.approx(2e-2 * (1 - max(0, before - 30) / 270))
        assert agent._value_optimizer.param_groups[0]["lr"] == pytest.approx(rates[-1] / 20)
    assert rates[0] == 2e-2 > rates[-1]
    assert not torch.equal(critic, agent.critic.v_head_mlp1.weight)


def test_the_actor_sits_out_a_batch_without_rewards(make_agent, play):
    agent, trainer = make_agent(), Trainer()
    start = adapters(agent)
    unpaid = [
        replace(trajectory, steps=tuple(replace(step, reward=0.0) for step in trajectory.steps))
        for trajectory in play(agent, 0)
    ]
    assert "losses/policy_loss" not in agent.learn(unpaid, trainer)
    assert all(torch.equal(value, start[name]) for name, value in adapters(agent).items())
    assert "losses/policy_loss" in agent.learn(play(agent, 1), trainer)
    assert "losses/policy_loss" not in agent.learn(unpaid, trainer)


def test_kl_stop_drops_the_pending_gradients_and_the_next_iteration_proceeds(make_agent, play, monkeypatch):
    agent, trainer = make_agent(target_kl=1e-5, policy_lr=0.1, batch_size=32), Trainer()
    steps = []
    step = agent._policy_optimizer.step
    monkeypatch.setattr(agent._policy_optimizer, "step", lambda *given: (steps.append(1), step(*given))[1])
    results = agent.learn(play(agent, 0, count=16), trainer)
    assert results["losses/kl_stops"] == 1
    assert results["losses/policy_update_times"] == len(steps) == 1  # at the old policy KL is 0; the second one stops
    assert results["losses/approx_kl"] > 1e-5 / 2
    assert results["losses/grad_norm"] > 0
    assert all(p.grad is None or not p.grad.any() for p in agent.policy.trainable_parameters())
    agent.learn(play(agent, 1, count=16), trainer)
    assert len(steps) == 2


@pytest.mark.parametrize("backtrack", [True, False])
def test_a_step_beyond_target_kl_is_taken_back_and_halves_the_rate(make_agent, play, backtrack):
    agent = make_agent(target_kl=1e-5, policy_lr=0.1, batch_size=32, backtrack=backtrack)
    start = adapters(agent)
    agent.learn(play(agent, 0, count=16), Trainer())
    assert all(torch.equal(value, start[name]) for name, value in adapters(agent).items()) == backtrack
    agent.settings.target_kl = None
    results = agent.learn(play(agent, 1, count=16), Trainer())
    assert agent._policy_optimizer.param_groups[0]["lr"] == (0.05 if backtrack else 0.1)
    assert results["losses/pace"] == pytest.approx(0.55 if backtrack else 1.0)
    assert not all(torch.equal(value, start[name]) for name, value in adapters(agent).items())


def test_only_the_step_that_led_too_far_is_taken_back(make_agent, play, monkeypatch):
    agent, trainer = make_agent(policy_lr=1e-3, batch_size=32, target_kl=None, policy_epochs=6), Trainer()
    seen = []
    step = agent._policy_optimizer.step
    monkeypatch.setattr(agent._policy_optimizer, "step", lambda *given: (step(*given), seen.append(adapters(agent)))[0])
    real = agent._losses

    def third_is_too_far(*given):
        agent.settings.target_kl = -1.0 if len(seen) == 3 else None
        return real(*given)

    monkeypatch.setattr(agent, "_losses", third_is_too_far)
    results = agent.learn(play(agent, 0, count=16), trainer)
    assert results["losses/policy_update_times"] == 3
    assert all(torch.equal(value, seen[1][name]) for name, value in adapters(agent).items())
    assert results["losses/pace"] == 1.0


@pytest.mark.parametrize("algo", ["twosome", "poad"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_resuming_gives_the_same_bits(make_agent, play, family, algo):
    straight, trainer = make_agent(family, algo=algo, total_decisions=500), Trainer()
    for iteration, count in enumerate((8, 2, 2)):  # the last ones wait for the next batch
        straight.learn(play(straight, iteration, count=count), trainer)
    assert straight._waiting
    torch.manual_seed(7)
    resumed = TwosomeAgent(text_policy(family, 2, False), **straight.settings.model_dump())
    resumed.setup(trainer)
    resumed.load_state_dict(stored(straight.state_dict()))
    for agent in (straight, resumed):
        agent.learn(play(agent, 9), trainer)
    one, other = straight.state_dict(), resumed.state_dict()
    assert one["decisions"] == other["decisions"]
    for part in ("adapters", "critic"):
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())
    assert_close(one["policy_optimizer"]["state"], other["policy_optimizer"]["state"], atol=0, rtol=0)
    question = question_of(Tidy().reset(seed=0)[0])
    assert torch.equal(straight.actor.log_policies([question])[0], resumed.actor.log_policies([question])[0])


def test_another_run_gives_its_weights_alone(make_agent, play):
    one, trainer = make_agent(), Trainer()
    one.learn(play(one, 0, count=16), trainer)
    torch.manual_seed(7)
    other = TwosomeAgent(text_policy(one.policy.model.config.model_type, 2, False), **one.settings.model_dump())
    other.setup(trainer)
    other.load_weights(stored(one.state_dict()))
    for part in ("adapters", "critic"):
        assert all(torch.equal(value, other.state_dict()[part][name]) for name, value in one.state_dict()[part].items())
    assert other.decisions == 0
    assert not other.state_dict()["policy_optimizer"]["state"]
    wrong = stored(one.state_dict())
    name = next(iter(wrong["adapters"]))
    for value, fault in ((wrong["adapters"][name][:1], "there and"), (None, "only one of the two has the adapter")):
        wrong["adapters"] = {key: v for key, v in wrong["adapters"].items() if key != name}
        wrong["adapters"] |= {} if value is None else {name: value}
        with pytest.raises(ValueError, match=fault):
            other.load_weights(wrong)


def test_adv_norm_of_a_minibatch_is_the_released_one(make_agent, play):
    """Of what a step's samples see: mean 0 within each minibatch, within the group, or within the batch."""
    from agentlab_runner.agents.twosome.batch import make_batch
    from agentlab_runner.agents.twosome.states import episode

    agent = make_agent()
    batch = make_batch([episode(t) for t in play(agent, 1)], agent.actor, agent.critic, 0.9, 0.5)
    group = list(range(8))
    for adv_norm, size in (("minibatch", 4), ("group", 8)):
        own = make_agent(adv_norm=adv_norm)._normalised(batch, group, batch.advantages)
        for start in range(0, 8, size):
            assert float(own[group[start : start + size]].mean()) == pytest.approx(0, abs=1e-5)
    assert make_agent(adv_norm="batch")._normalised(batch, group, batch.advantages) is batch.advantages


def test_minibatches_of_one_sample_give_numbers(make_agent, play):
    agent = make_agent(policy_minibatch=1, accumulation=1, adv_norm="minibatch", value_minibatch=1, batch_size=1)
    results = agent.learn(play(agent, 0, count=1), Trainer())
    assert all(math.isfinite(value) for value in results.values())
    assert all(torch.isfinite(p).all() for p in agent.policy.trainable_parameters())


def test_micro_batches_change_nothing_but_the_last_bits(make_agent, play):
    results = []
    for micro_batch in (1, 4):
        agent = make_agent(micro_batch=micro_batch)
        played = play(agent, 0)
        torch.manual_seed(3)
        results.append(agent.learn(played, Trainer()))
    assert results[0] == pytest.approx(results[1], rel=1e-2, abs=1e-4)


def test_episodes_lost_with_their_simulator_do_not_count(make_agent, play):
    agent = make_agent(batch_size=1)
    lost = [replace(trajectory, stop=StopReason.DEVICE_LOST) for trajectory in play(agent, 0)]
    assert agent.learn(lost, Trainer()) == {"rollout/waiting": 0.0}


def spoiled(trajectory, **changes):
    return replace(trajectory, steps=(replace(trajectory.steps[0], **changes), *trajectory.steps[1:]))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"reward": math.nan}, "is nan; the environment must give finite rewards"),
        ({"decision": Decision(17)}, r"action 17 was taken where \[.*\] were admissible"),
    ],
)
def test_bad_episodes_are_refused(make_agent, play, changes, fault):
    agent = make_agent()
    with pytest.raises(UserError, match=fault):
        agent.learn([spoiled(play(agent, 0)[0], **changes)], Trainer())


def test_a_model_without_adapters_is_refused():
    from agentlab_runner.agents.llm.policy import LanguagePolicy

    words = tokenizer()
    with pytest.raises(UserError, match=r"give the model model\.lora"):
        TwosomeAgent(LanguagePolicy(causal("llama", words), words))


def test_zero_shot_start_is_the_base_model(make_agent):
    agent = make_agent()
    question = Question("You should", ("pick up the bowl", "walk to the bedroom"))
    (adapted,) = agent.actor.log_policies([question])
    agent.actor.changed()
    with agent.policy.model.disable_adapter():
        assert_close(agent.actor.log_policies([question])[0], adapted, atol=1e-5, rtol=0)
