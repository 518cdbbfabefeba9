"""The whole learner on a tiny policy: what each switch changes, what must not change, and resuming."""

import copy
import io
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.coso import causal
from agentlab_runner.agents.coso.actor import Sample, collapse, update_actor
from agentlab_runner.agents.coso.entropy import token_entropy
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import ImitatingAgent, OfflineAgent
from agentlab_runner.runners.types import Histogram, Picture, StopReason


def silent(done, total, **headline):
    pass


def learn(agent, play, iterations=2, spoiled=1):
    metrics = {}
    for seed in range(iterations):
        metrics = agent.learn(play(agent, seed, spoiled=spoiled), agent._trainer)
    return metrics


def parameters(agent):
    return torch.cat([p.detach().flatten() for p in agent.policy.trainable_parameters()])


def test_it_is_an_imitating_and_an_offline_agent(make_agent):
    agent = make_agent()
    assert isinstance(agent, ImitatingAgent)
    assert isinstance(agent, OfflineAgent)


def test_one_iteration_reports_what_the_docs_promise(make_agent, play):
    agent = make_agent()
    before = parameters(agent)
    metrics = learn(agent, play, iterations=1)
    assert not torch.equal(before, parameters(agent))
    numbers = (
        "actor/loss actor/entropy actor/entropy_weighted actor/positive_rate critic/step_acc critic/instruction_acc "
    )
    numbers += "causal/loss causal/acc causal/val_acc causal/mean_b rollout/parse_fail_rate time/actor time/causal"
    assert all(isinstance(metrics[name], float) for name in numbers.split())
    assert isinstance(metrics["causal/b"], Histogram)
    assert isinstance(metrics["causal/heatmap"], Picture)
    assert 0 < metrics["causal/mean_b"] < 1
    assert not agent.policy.training


@pytest.mark.parametrize("entropy", ["none", "causal"])
def test_labels_do_not_pile_up(make_agent, monkeypatch, entropy):
    monkeypatch.setattr(causal, "MOST_LABELS", 5)
    weights = make_agent(entropy=entropy).causal
    said = [(token,) for token in range(40)]
    labels = [weights.label(ids) for ids in said]
    assert len(weights._labels) == 5
    assert [weights.label(ids) for ids in said] == labels


def test_alpha_zero_is_the_baseline_bit_for_bit(make_agent, play):
    baseline, coso = make_agent(entropy="none"), make_agent(entropy="causal", alpha=0.0)
    learn(baseline, play)
    learn(coso, play)
    assert torch.equal(parameters(baseline), parameters(coso))


def test_alpha_matters_otherwise(make_agent, play):
    baseline, coso = make_agent(entropy="none"), make_agent(entropy="causal", alpha=1.0)
    learn(baseline, play, 1)
    learn(coso, play, 1)
    assert not torch.equal(parameters(baseline), parameters(coso))


def test_weights_of_one_are_uniform_entropy(make_agent, play):
    uniform, ones = make_agent(entropy="uniform"), make_agent(entropy="causal", scm={"mode": "uniform"})
    learn(uniform, play)
    metrics = learn(ones, play)
    assert torch.equal(parameters(uniform), parameters(ones))
    assert metrics["causal/mean_b"] == 1


@pytest.mark.parametrize(
    "scm",
    [{"mode": mode} for mode in ("paper", "exact", "random", "permuted")]
    + [{"mode": "exact", "exact": "soft", "top_k": 2}],
)
def test_every_mode_learns(make_agent, play, scm):
    metrics = learn(make_agent(scm=scm, entropy_norm="sum"), play, 1)
    assert metrics["causal/mean_b"] != 0


def test_mass_matched_uniform_has_the_causal_mass(make_agent, play):
    agent = make_agent(entropy="uniform", mass_matched=True)
    learn(agent, play, 1)
    ids = agent.replay.episodes[-1][0].steps[1].decision.extras["token_ids"]
    mask = torch.ones(1, len(ids), dtype=torch.bool)
    weights = agent.causal.batch([ids], torch.zeros(1, len(ids), 4), mask)
    assert weights.unique().numel() == 1
    assert_close(weights.sum(), agent.causal.measured([ids])[ids].sum())


def test_unparsable_utterances_are_counted_kept_in_the_loss_and_without_weight(make_agent, play):
    agent = make_agent(validation_fraction=0.0, filter_quantile=0.0)
    metrics = learn(agent, play, 1, spoiled=3)
    assert metrics["rollout/parse_fail_rate"] == pytest.approx(3 / 18)
    assert metrics["filter/kept"] == 1
    spoiled = agent.replay.episodes[0][0].steps[0].decision.extras["token_ids"]
    assert agent.causal.label(spoiled) is None
    assert not agent.causal.measured([spoiled])[spoiled].any()
    metrics = learn(make_agent(), play, 1, spoiled=6)
    assert metrics["actor/positive_rate"] >= 0


def test_no_gradient_crosses_between_policy_and_scm(make_agent, play):
    agent = make_agent()
    learn(agent, play, 1)
    agent.policy.zero_grad()
    agent.causal.scm.zero_grad()
    step = agent.replay.episodes[0][0].steps[1]
    ids = step.decision.extras["token_ids"]
    scores = agent.policy.score([step.observation], [ids])
    (token_entropy(scores.logits) * agent.causal.batch([ids], scores.logits, scores.mask)).sum().backward()
    assert all(p.grad is None for p in agent.causal.scm.parameters())
    assert any(p.grad is not None for p in agent.policy.parameters())
    agent.policy.zero_grad()
    before = parameters(agent)
    agent.causal.update([ids], [], agent._trainer)
    assert torch.equal(before, parameters(agent))
    assert all(p.grad is None for p in agent.policy.parameters())


def test_actor_loss_is_the_equation(make_agent, play):
    agent = make_agent(alpha=0.7, batch_size=4)
    learn(agent, play, 1)
    steps = [step for trajectory, _ in agent.replay.episodes for step in trajectory.steps][:3]
    samples = [Sample(s.observation, s.decision.extras["token_ids"], i != 1) for i, s in enumerate(steps)]
    samples.append(samples[0])
    assert max(row.count for row in collapse(samples)) == 2
    expected = 0.0
    with torch.no_grad():
        for sample in samples:
            scores = agent.policy.score([sample.observation], [sample.ids])
            b = agent.causal.measured([sample.ids])[sample.ids]
            entropy = (b * token_entropy(scores.logits)[0]).sum() / len(sample.ids)
            expected -= float(sample.positive * scores.logprobs.sum() + 0.7 * entropy) / len(samples)
    tally = update_actor(agent.policy, agent._optimizer, [samples], agent.settings, agent._trainer, agent.causal)
    assert tally.loss == pytest.approx(expected, rel=1e-4)
    assert (tally.samples, tally.positives) == (4, 3)


def test_released_settings_learn(make_agent, play):
    metrics = learn(
        make_agent(
            entropy_norm="released_outer", micro_batch=2, scm={"pool": "released_mean"}, advantage="doubly_robust"
        ),
        play,
        1,
    )
    assert metrics["actor/entropy_weighted"] > 0


def test_lost_devices_teach_nothing(make_agent, play):
    agent = make_agent()
    lost = [replace(t, stop=StopReason.DEVICE_LOST) for t in play(agent, 0)]
    before = parameters(agent)
    metrics = agent.learn(lost, agent._trainer)
    assert metrics == {"rollout/lost": 6.0} | {k: v for k, v in metrics.items() if k.startswith("time/")}
    assert torch.equal(before, parameters(agent))


def test_filtered_behaviour_cloning_has_no_critics(make_agent, play):
    agent = make_agent(algorithm="filtered_bc", entropy="none")
    metrics = learn(agent, play, 1)
    assert metrics["actor/positive_rate"] == 1
    assert agent.step_critic is None


def test_offline_phase_uses_no_entropy_and_then_goes_online(make_agent, play):
    rounds = {"actor_rounds": 2, "critic_rounds": 1, "instruction_critic_rounds": 1}
    agent = make_agent(offline=rounds)
    metrics = agent.learn_offline(play(agent, 0), agent._trainer, silent)
    assert "actor/entropy_weighted" not in metrics
    assert agent.causal.scm is None
    assert "causal/acc" in learn(agent, play, 1)


def test_an_offline_phase_needs_episodes(make_agent):
    with pytest.raises(UserError, match="no episode to learn from"):
        make_agent().learn_offline([], None, silent)


def test_warm_up_iterations_only_collect(make_agent, play):
    agent = make_agent(warmup_iterations=1)
    before = parameters(agent)
    learn(agent, play, 1)
    assert torch.equal(before, parameters(agent))
    assert agent.replay.episodes


def test_resuming_gives_the_same_numbers(make_agent, play):
    whole = make_agent()
    whole.imitate(play(whole, 9), whole._trainer, silent)
    learn(whole, play, 1)
    file = io.BytesIO()
    torch.save(copy.deepcopy(whole.state_dict()), file)
    random = torch.get_rng_state()
    first = whole.learn(play(whole, 7), whole._trainer)

    file.seek(0)
    resumed = make_agent()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    torch.set_rng_state(random)
    second = resumed.learn(play(resumed, 7), resumed._trainer)
    assert torch.equal(parameters(whole), parameters(resumed))
    numbers = [k for k, v in first.items() if isinstance(v, float) and not k.startswith("time/")]
    assert {k: first[k] for k in numbers} == {k: second[k] for k in numbers}
    assert first["causal/b"] == second["causal/b"]


def test_another_run_gives_its_weights_alone(make_agent, play):
    one = make_agent()
    one.imitate(play(one, 9), one._trainer, silent)
    learn(one, play, 1)
    other = make_agent()
    other.load_weights(copy.deepcopy(one.state_dict()))
    assert torch.equal(parameters(one), parameters(other))
    saved_critics = one.state_dict()["critics"]["modules"]
    for critic, saved in zip((other.step_critic, other.instruction_critic), saved_critics, strict=True):
        assert all(torch.equal(value, saved[name]) for name, value in critic.state_dict().items())
    assert (other.iteration, other.causal.scm, len(other.replay.episodes)) == (0, None, 0)
    assert not other._optimizer.state
    learn(other, play, 1)


def test_a_warm_start_is_the_same_for_every_entropy_and_rate(make_agent, play):
    teacher = make_agent(entropy="none", lr=1e-3)
    metrics = teacher.imitate(play(teacher, 0), teacher._trainer, silent)
    assert metrics["imitation/loss"] > 0
    pupil = make_agent(entropy="causal", lr=5e-4)
    pupil.load_state_dict(teacher.state_dict())
    assert torch.equal(parameters(teacher), parameters(pupil))
    assert pupil._optimizer.param_groups[0]["lr"] == 5e-4
    learn(pupil, play, 1)
