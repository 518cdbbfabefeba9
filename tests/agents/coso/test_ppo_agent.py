"""PPO on utterances with a tiny policy: what each switch changes, what must not change, and resuming."""

import copy
import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from agentlab_runner.agents.coso.entropy import token_entropy
from agentlab_runner.agents.coso.ppo_agent import UtterancePpoAgent
from agentlab_runner.agents.coso.ppo_update import update_policy
from agentlab_runner.agents.llm import tiny
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.rl.ppo import policy_loss, value_loss
from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.runners.experiment import ImitatingAgent
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import Decision, Histogram, Picture, Step, StopReason, Trajectory

TEXTS = [
    f'{{"current number": "{c}", "thoughts": "{t}", "action": "{a}"}}'
    for c, t, a in itertools.product("0123", ("lower", "higher"), "+-")
]
PROMPTS = ("Bring current to target.", "Bring it there.", "Go.")
SMALL = {
    "epochs": 2,
    "minibatch_size": 8,
    "micro_batch": 4,
    "value_widths": [8],
    "max_grad_norm": None,
    "lr": 1e-3,
    "heatmap_every": 1,
    "scm": {"width": 16, "layers": 1, "heads": 2, "pretrain_rounds": 3, "draws": 16},
    "imitation": {"steps": 3, "warmup": 1, "batch_size": 4},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards") / "model"
    return tiny.create(
        folder, [*TEXTS, *PROMPTS], image_size=32, width=32, layers=1, vision_layers=1, heads=2, vocab_size=360
    )


@pytest.fixture
def make_agent(model):
    def make(**settings):
        torch.manual_seed(0)
        scm = SMALL["scm"] | settings.pop("scm", {})
        policy = LanguagePolicy.from_pretrained(model, max_new_tokens=24)
        agent = UtterancePpoAgent(policy, CardsParser("numberline"), **(SMALL | settings | {"scm": scm}))
        agent.setup(Trainer())
        return agent

    return make


def play(agent, seed=0, spoiled=1, texts=TEXTS):
    """Eight episodes of two steps in four groups of two; the first `spoiled` begin with what no parser reads."""
    rng = np.random.default_rng(seed)
    frames = [np.full((32, 32, 3), shade, dtype=np.uint8) for shade in (0, 90, 200)]

    def observation():
        return {"text": PROMPTS[rng.integers(3)], "image": frames[rng.integers(3)].copy()}

    played = []
    for number in range(8):
        said = [str(rng.choice(texts)) for _ in range(2)]
        if number < spoiled:
            said[0] = '{"action": "jump"}'
        steps = []
        for text, reward in zip(said, rng.choice([-1.0, 0.0, 1.0], size=2), strict=True):
            seen, ids = observation(), agent.policy.encode(text)
            with torch.no_grad():
                logprobs = agent.policy.score([seen], [ids]).logprobs[0].tolist()
            extras = {"token_ids": ids, "logprobs": tuple(logprobs), "value": float(rng.normal())}
            steps.append(Step(seen, Decision(text, extras), float(reward)))
        stop = StopReason.HORIZON if number % 2 else StopReason.FAILURE
        played.append(Trajectory(tuple(steps), observation(), stop, False, seed=number // 2, task="numberline"))
    return played


def learn(agent, iterations=2, **how):
    metrics = {}
    for seed in range(iterations):
        metrics = agent.learn(play(agent, seed, **how), agent._trainer)
    return metrics


def parameters(agent):
    return torch.cat([p.detach().flatten() for p in agent.policy.trainable_parameters()])


def test_one_iteration_reports_what_the_docs_promise(make_agent):
    agent = make_agent()
    assert isinstance(agent, ImitatingAgent)
    before = parameters(agent)
    metrics = learn(agent, 1)
    assert not torch.equal(before, parameters(agent))
    numbers = "ppo/policy_loss ppo/value_loss ppo/entropy ppo/entropy_weighted ppo/clipfrac ppo/approx_kl ppo/lr "
    numbers += "ppo/explained_variance ppo/grad_norm ppo/skipped rollout/parse_fail_rate rollout/format_valid "
    numbers += "rollout/distinct_thoughts rollout/distinct_utterances causal/mean_b time/update time/causal"
    assert all(isinstance(metrics[name], float) for name in numbers.split())
    assert isinstance(metrics["causal/b"], Histogram)
    assert isinstance(metrics["causal/heatmap"], Picture)
    assert 0 < metrics["causal/mean_b"] < 1
    assert metrics["ppo/skipped"] == 0
    assert not agent.policy.training


ENTROPIES = [
    {"entropy": "none"},
    {"entropy": "uniform"},
    {"entropy": "uniform", "mass_matched": True},
    {"scm": {"mode": "permuted", "reference": "exact"}},
    *({"scm": {"mode": mode}} for mode in ("released", "paper", "exact", "uniform", "random", "permuted")),
    {"scm": {"mode": "random"}, "mass_matched": True},
    {"scm": {"mode": "exact", "exact": "soft", "top_k": 2}},
]


@pytest.mark.parametrize("advantage", ["gae", "grpo", "gigpo"])
@pytest.mark.parametrize("entropy", ENTROPIES, ids=str)
def test_every_advantage_learns_with_every_entropy(make_agent, advantage, entropy):
    agent = make_agent(advantage=advantage, group_size=2, alpha=0.1, epochs=1, minibatch_size=16, **entropy)
    before = parameters(agent)
    metrics = learn(agent, 1)
    assert not torch.equal(before, parameters(agent))
    assert ("ppo/entropy_weighted" in metrics) == (entropy.get("entropy") != "none")
    assert ("ppo/value_loss" in metrics) == (advantage == "gae")
    assert metrics.get("causal/mean_b", 1) > 0


@pytest.mark.parametrize("how", [{"advantage": "gae"}, {"advantage": "gigpo", "group_size": 2}], ids=str)
@pytest.mark.parametrize("mode", ["released", "exact", "random"])
def test_alpha_zero_is_the_baseline_bit_for_bit(make_agent, how, mode):
    baseline, coso = make_agent(entropy="none", **how), make_agent(alpha=0.0, scm={"mode": mode}, **how)
    learn(baseline)
    learn(coso)
    assert torch.equal(parameters(baseline), parameters(coso))


def test_alpha_matters_otherwise(make_agent):
    baseline, coso = make_agent(entropy="none"), make_agent(alpha=0.5)
    learn(baseline, 1)
    learn(coso, 1)
    assert not torch.equal(parameters(baseline), parameters(coso))


def test_weights_of_one_are_uniform_entropy(make_agent):
    uniform, ones = make_agent(entropy="uniform"), make_agent(scm={"mode": "uniform"})
    learn(uniform)
    metrics = learn(ones)
    assert torch.equal(parameters(uniform), parameters(ones))
    assert metrics["causal/mean_b"] == 1
    assert metrics["ppo/entropy_weighted"] == metrics["ppo/entropy"]


def test_controls_take_over_the_weights_they_are_told_to(make_agent):
    exact = make_agent(scm={"mode": "exact"})
    ids = exact.policy.encode(TEXTS[0])
    b, mask = exact.causal.measured([ids])[ids], torch.ones(1, len(ids), dtype=torch.bool)
    for how in (
        {"scm": {"mode": "permuted", "reference": "exact"}},
        {"entropy": "uniform", "mass_matched": True, "scm": {"mode": "exact"}},
        {"mass_matched": True, "scm": {"mode": "random", "reference": "exact"}},
    ):
        weights = make_agent(**how).causal.batch([ids], torch.zeros(1, len(ids), 4), mask)
        assert_close(weights.sum(), b.sum())
        if how["scm"]["mode"] == "permuted":
            assert_close(weights[0].sort().values, b.sort().values)


def test_no_gradient_crosses_between_policy_and_scm(make_agent):
    agent = make_agent(scm={"mode": "released"})
    learn(agent, 1)
    scm = copy.deepcopy(agent.causal.scm.state_dict())
    agent.causal.scm.zero_grad()
    rollout = rollout_of(agent, play(agent, 5))
    before = parameters(agent)
    update_policy(
        agent.policy, agent.head, agent._optimizer, rollout, agent.settings, agent._trainer, agent.causal, agent._rng
    )
    assert not torch.equal(before, parameters(agent))
    assert all(torch.equal(value, scm[name]) for name, value in agent.causal.scm.state_dict().items())
    assert all(p.grad is None for p in agent.causal.scm.parameters())
    before = parameters(agent)
    agent.causal.update([one.ids for one in rollout.said], [], agent._trainer)
    assert torch.equal(before, parameters(agent))
    assert not all(torch.equal(value, scm[name]) for name, value in agent.causal.scm.state_dict().items())


def rollout_of(agent, trajectories):
    steps = [step for trajectory in trajectories for step in trajectory.steps]
    states = [str(number) for number in range(len(steps))]
    advantages, values = agent._advantages(trajectories, [states[2 * i : 2 * i + 2] for i in range(8)])
    return agent._rollout(steps, states, advantages, values)


def test_the_loss_is_the_equation(make_agent):
    agent = make_agent(alpha=0.7, epochs=1, minibatch_size=64, micro_batch=3, value_clip_coef=0.4)
    torch.nn.init.normal_(agent.head.layers[-1].weight)
    steps = [step for trajectory in play(agent, 3) for step in trajectory.steps]
    rollout = rollout_of(agent, play(agent, 3))
    rollout = replace(rollout, old_log_prob=rollout.old_log_prob + 0.3 * torch.randn(len(steps)))
    before, expected = parameters(agent), torch.zeros(())
    for row, step in enumerate(steps):
        ids, text = step.decision.extras["token_ids"], step.decision.action
        scores = agent.policy.score([step.observation], [ids])
        begun = next(i for i in range(len(ids)) if len(agent.policy.decode(ids[: i + 1])) > text.index('"action'))
        log_prob = 0.5 * scores.logprobs[0, :begun].sum() + scores.logprobs[0, begun:].sum()
        b = agent.causal.measured([ids])[ids]
        value = agent.head(scores.states)
        expected = expected + (
            policy_loss(log_prob, rollout.old_log_prob[row], rollout.advantage[row], 0.1)
            + 0.5 * value_loss(value, rollout.old_value[row], rollout.target[row], 0.4).sum()
            - 0.7 * (b * token_entropy(scores.logits)[0]).sum()
        ) / len(steps)
    gradient = torch.autograd.grad(expected, agent.policy.trainable_parameters())
    optimizer = torch.optim.SGD([*agent.policy.trainable_parameters(), *agent.head.parameters()], lr=0.1)
    s = agent.settings.model_copy(update={"max_grad_norm": 1e9})
    tally = update_policy(agent.policy, agent.head, optimizer, rollout, s, agent._trainer, agent.causal, agent._rng)
    found = tally.means()
    total = found["policy_loss"] + 0.5 * found["value_loss"] - 0.7 * found["entropy_weighted"]
    assert total == pytest.approx(expected.item(), rel=1e-4)
    moved = before - 0.1 * torch.cat([g.flatten() for g in gradient])
    assert_close(parameters(agent), moved, atol=1e-5, rtol=1e-4)


def test_a_detached_value_head_leaves_the_policy_alone(make_agent):
    policies = {}
    for trunk, coef in (("shared", 0.0), ("shared", 0.5), ("detached", 0.5)):
        agent = make_agent(entropy="none", value_trunk=trunk, value_coef=coef)
        torch.nn.init.normal_(agent.head.layers[-1].weight)
        learn(agent, 1)
        policies[trunk, coef] = parameters(agent)
    assert torch.equal(policies["detached", 0.5], policies["shared", 0.0])
    assert not torch.equal(policies["shared", 0.5], policies["shared", 0.0])


def test_what_paid_becomes_likelier(make_agent):
    agent = make_agent(entropy="none", epochs=4)
    seen = {"text": PROMPTS[0], "image": np.zeros((32, 32, 3), np.uint8)}
    good, bad = (agent.policy.encode(TEXTS[i]) for i in (0, 1))

    def preference():
        with torch.no_grad():
            both = agent.policy.score([seen, seen], [good, bad]).logprobs.sum(dim=1)
        return float(both[0] - both[1])

    before = preference()
    for _ in range(3):
        with torch.no_grad():
            logprobs = agent.policy.score([seen, seen], [good, bad]).logprobs
        played = [
            Trajectory(
                (Step(seen, Decision("", {"token_ids": ids, "logprobs": tuple(row.tolist()), "value": 0.0}), reward),),
                seen, StopReason.SUCCESS, True, seed=0, task="t",
            )
            for ids, row, reward in zip((good, bad), logprobs, (1.0, -1.0), strict=True)
        ]  # fmt: skip
        agent.learn(played, agent._trainer)
    assert preference() > before + 0.1


def test_sampled_log_probabilities_are_those_that_are_scored(make_agent):
    agent = make_agent(entropy="none", epochs=1, minibatch_size=64, thought_coef=0.3)
    seen = [step.observation for trajectory in play(agent, 0) for step in trajectory.steps]
    said = agent.act(seen, deterministic=False)
    assert all(isinstance(one.extras["value"], float) for one in said)
    played = [
        Trajectory((Step(o, d, 1.0),), o, StopReason.SUCCESS, True, seed=0, task="t")
        for o, d in zip(seen, said, strict=True)
    ]
    assert agent.learn(played, agent._trainer)["ppo/approx_kl"] == pytest.approx(0, abs=1e-6)


def test_unparsable_utterances_are_counted_kept_and_without_weight(make_agent):
    agent = make_agent(scm={"mode": "released"})
    metrics = learn(agent, 1, spoiled=4)
    assert metrics["rollout/parse_fail_rate"] == 4 / 16
    assert metrics["rollout/format_valid"] == 1
    spoiled = agent.policy.encode('{"action": "jump"}')
    assert agent.causal.label(spoiled) is None
    assert not agent.causal.measured([spoiled])[spoiled].any()
    metrics = agent.learn(play(agent, 1, spoiled=8, texts=["hm", "{", ""]), agent._trainer)  # nothing parses at all
    assert metrics["rollout/parse_fail_rate"] == 1
    assert metrics["rollout/format_valid"] == 0.5
    assert "causal/acc" not in metrics


def test_rows_that_are_not_a_number_are_skipped(make_agent, monkeypatch):
    agent = make_agent(epochs=1, minibatch_size=64)
    score = agent.policy.score
    bad = agent.policy.encode('{"action": "jump"}')

    def broken(observations, token_ids):
        scores = score(observations, token_ids)
        row = torch.tensor([ids == bad for ids in token_ids])[:, None]
        return replace(scores, logprobs=scores.logprobs.masked_fill(row, torch.nan))

    monkeypatch.setattr(agent.policy, "forward", broken)
    assert learn(agent, 1, spoiled=2)["ppo/skipped"] == 2 / 16
    assert parameters(agent).isfinite().all()


def test_minibatches_of_one_and_episodes_of_one_step(make_agent):
    agent = make_agent(minibatch_size=1, epochs=1)
    played = [replace(trajectory, steps=trajectory.steps[:1]) for trajectory in play(agent, 0)]
    assert agent.learn(played, agent._trainer)["rollout/steps"] == 8
    assert agent.learn(played[:1], agent._trainer)["rollout/steps"] == 1


def test_lost_devices_teach_nothing(make_agent):
    agent = make_agent()
    before = parameters(agent)
    lost = [replace(trajectory, stop=StopReason.DEVICE_LOST) for trajectory in play(agent)]
    assert agent.learn(lost, agent._trainer) == {"rollout/lost": 8.0}
    assert torch.equal(before, parameters(agent))


def test_an_episode_cut_by_the_limit_may_go_on_in_the_critics_mind(make_agent):
    advantages = {}
    for truncation in ("terminal", "bootstrap"):
        agent = make_agent(truncation=truncation)
        torch.nn.init.constant_(agent.head.layers[-1].bias, 2.0)
        advantages[truncation] = agent._advantages(play(agent), [["a", "b"]] * 8)[0].view(8, 2)
    difference = advantages["bootstrap"] - advantages["terminal"]
    assert not difference[::2].any()
    assert_close(difference[1::2, 1], torch.full((4,), 0.9 * 2.0))


def test_groups_are_the_episodes_of_one_seed(make_agent):
    agent = make_agent(advantage="grpo", group_size=2, divide_by_std=False)
    played = play(agent)
    found = agent._advantages(played, [["a", "b"]] * 8)[0].view(8, 2)
    totals = torch.tensor([trajectory.total_reward for trajectory in played]).view(4, 2)
    expected = (totals - totals.mean(dim=1, keepdim=True)).flatten()
    assert_close(found, expected[:, None].expand(8, 2))
    with pytest.raises(ValidationError, match="group_size to 2 or more"):
        make_agent(advantage="gigpo")


def test_the_rate_falls_along_a_cosine_and_stays_there(make_agent):
    agent = make_agent(lr=1e-3, lr_end=1e-9, lr_decay_iterations=2, epochs=1)
    rates = [agent.learn(play(agent), agent._trainer)["ppo/lr"] for _ in range(4)]
    assert rates == pytest.approx([1e-3, 5e-4, 1e-9, 1e-9], rel=1e-3)


@pytest.mark.parametrize("mode", ["exact", "released", "random"])
def test_resuming_gives_the_same_numbers(make_agent, mode):
    settings = {"scm": {"mode": mode}, "alpha": 0.1}
    whole = make_agent(**settings)
    whole.imitate(play(whole, 9), whole._trainer, lambda *args, **headline: None)
    learn(whole, 1)
    file = io.BytesIO()
    torch.save(copy.deepcopy(whole.state_dict()), file)
    first = whole.learn(play(whole, 7), whole._trainer)

    file.seek(0)
    resumed = make_agent(**settings)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    second = resumed.learn(play(resumed, 7), resumed._trainer)
    assert torch.equal(parameters(whole), parameters(resumed))
    numbers = [k for k, v in first.items() if isinstance(v, float) and not k.startswith("time/")]
    assert {k: first[k] for k in numbers} == {k: second[k] for k in numbers}
    assert first["causal/b"] == second["causal/b"]


def test_another_run_gives_its_weights_alone(make_agent):
    one = make_agent()
    learn(one, 1)
    other = make_agent()
    other.load_weights(copy.deepcopy(one.state_dict()))
    assert torch.equal(parameters(one), parameters(other))
    assert all(torch.equal(value, one.head.state_dict()[name]) for name, value in other.head.state_dict().items())
    assert (other.iteration, other.causal.scm) == (0, None)
    assert not other._optimizer.state
    with pytest.raises(RuntimeError, match=r"size mismatch|Missing key|Unexpected key"):
        make_agent(value_widths=[16, 4]).load_weights(copy.deepcopy(one.state_dict()))


def test_a_warm_start_serves_every_advantage(make_agent):
    teacher = make_agent(entropy="none")
    metrics = teacher.imitate(play(teacher), teacher._trainer, lambda *args, **headline: None)
    assert metrics["imitation/loss"] > 0
    pupil = make_agent(advantage="grpo", group_size=2)
    pupil.load_state_dict(teacher.state_dict())
    assert torch.equal(parameters(teacher), parameters(pupil))
    wider = make_agent(value_widths=[16, 4])
    wider.load_state_dict(teacher.state_dict())
    learn(wider, 1)
