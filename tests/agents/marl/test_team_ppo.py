"""PPO of teams: what is learnt, from whom, and that it goes on as if nothing had been interrupted."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from agentlab_runner.agents.marl.level import Level
from agentlab_runner.agents.marl.ppo import TeamPPO
from agentlab_runner.agents.marl.random_team import RandomTeam
from agentlab_runner.agents.marl.settings import TeamPPOSettings
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.team_batch import TeamBatch
from agentlab_runner.runners.teams import TeamView
from tests.agents.marl.batches import WALKERS, batch_of, continuous, played, set_up

KINDS = {
    "student": {"network": "attention", "context_size": 8},
    "ippo": {"network": "mlp", "critic": "own"},
    "mappo": {"network": "mlp", "critic": "central"},
    "student_mappo": {"network": "attention", "critic": "central"},
}


def made(kind: str = "student", spec=WALKERS, **settings: Any) -> TeamPPO:
    torch.manual_seed(0)
    return set_up(TeamPPO(spec, **{"hidden": 16, "heads": 2, "head_dim": 4, **KINDS[kind], **settings}))[0]


def trained(agent: TeamPPO, *batches: TeamBatch) -> list[dict[str, float]]:
    return [dict(agent.learn(batch, set_up(RandomTeam(WALKERS))[1])) for batch in batches]


def weights(agent: TeamPPO) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in agent.level.parameters()])


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_to_walk(kind):
    """One decision is better than the other, and where it is not legal nobody is asked."""
    agent = made(kind, lr=0.01, ent_coef=0.0)
    for iteration in range(6):
        trained(agent, played(agent, 40, seed=40 * iteration))
    batch = played(agent, 40)
    assert batch.actions[batch.present & batch.legal.all(dim=2)].float().mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_log_probs_are_the_same_when_asked_again(kind):
    agent = made(kind, epochs=1, minibatches=1)
    [metrics] = trained(agent, played(agent))
    assert metrics["losses/approx_kl"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["losses/clipfrac"] == 0


def test_continuous_actions_are_the_same_when_asked_again_and_the_mode_has_no_chance():
    agent = made("student", continuous(), epochs=1, minibatches=1)
    view = TeamView(torch.randn(6, 3, 2), torch.ones(6, 3).bool(), None, torch.zeros(6, 4), torch.arange(6),
                    torch.zeros(6).long())  # fmt: skip
    choice = agent.decide(view, {}, False)
    assert choice.actions.shape == (6, 3, 2)
    batch = batch_of([torch.randn(6, 3)])
    batch = replace(batch, observations=view.observations, actions=choice.actions, extras=choice.extras)
    [metrics] = trained(agent, batch)
    assert metrics["losses/approx_kl"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["losses/imitation"] > 0
    later = replace(view, keys=view.keys + 99)
    assert torch.equal(agent.decide(view, {}, True).actions, agent.decide(later, {}, True).actions)
    assert not torch.equal(agent.decide(view, {}, False).actions, agent.decide(later, {}, False).actions)


def test_attention_is_kept_for_pictures():
    batch = played(made())
    assert batch.extras["attention"].shape == (len(batch.rewards), 3, 3)
    assert batch.extras["attention"].dtype == torch.float16
    assert "attention" not in played(made("ippo")).extras


@pytest.mark.parametrize("kind", KINDS)
def test_the_dead_add_nothing(kind):
    """Whatever stands where nobody is, the same is learnt."""
    batch = played(made(kind))
    assert not batch.present.all()
    gone = ~batch.present
    other = replace(
        batch,
        observations=torch.where(gone[..., None], torch.randn_like(batch.observations), batch.observations),
        actions=torch.where(gone, torch.zeros_like(batch.actions), batch.actions),
        extras={**batch.extras, "log_prob": torch.where(gone, -9.0, batch.extras["log_prob"])},
    )
    agents = [made(kind), made(kind)]
    said = [trained(agent, given) for agent, given in zip(agents, (batch, other), strict=True)]
    assert torch.allclose(weights(agents[0]), weights(agents[1]), atol=1e-6)
    assert said[0][0] == pytest.approx(said[1][0], abs=1e-5)


def wider(batch: TeamBatch, more: int) -> TeamBatch:
    """With agents that are never there."""

    def padded(values):
        return torch.cat([values, values.new_zeros(values.shape[0], more, *values.shape[2:])], dim=1)

    own = {name: padded(getattr(batch, name)) for name in ("observations", "present", "actions", "rewards",
                                                            "terminated", "truncated", "legal")}  # fmt: skip
    final = replace(batch.final, observations=padded(batch.final.observations), present=padded(batch.final.present))
    return replace(batch, **own, final=final, extras={"log_prob": padded(batch.extras["log_prob"])})


@pytest.mark.parametrize("kind", KINDS)
def test_padding_adds_nothing(kind):
    batch = played(made(kind))
    agents = [made(kind), made(kind)]
    said = [trained(agent, given) for agent, given in zip(agents, (batch, wider(batch, 4)), strict=True)]
    assert torch.allclose(weights(agents[0]), weights(agents[1]), atol=1e-5)
    assert said[0][0] == pytest.approx(said[1][0], abs=1e-4)


def test_nothing_is_learnt_from_a_batch_without_any_reward():
    batch = played(made("ippo"))
    batch = replace(batch, rewards=torch.zeros_like(batch.rewards))
    agent, other = made("ippo", skip_unrewarded=True), made("ippo")
    before = weights(agent)
    assert trained(agent, batch)[0]["rollout/learnt_from"] == 0
    assert torch.equal(weights(agent), before)
    trained(other, batch)
    assert not torch.equal(weights(other), before)


def test_what_imitates_learns_even_then():
    agent = made(skip_unrewarded=True)
    batch = played(agent)
    batch = replace(batch, rewards=torch.zeros_like(batch.rewards))
    before = {name: p.clone() for name, p in agent.level.named_parameters()}
    trained(agent, batch)
    moved = {name.split(".")[1] for name, p in agent.level.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"fc1", "context_decoder", "fc2"}


def test_unrewarded_tasks_are_left_out_where_tasks_are_standardised_apart():
    agent = made("ippo", skip_unrewarded=True, standardise="task")
    batch = played(agent, 12, tasks=["few", "many"])
    many = torch.tensor([one.task == "many" for one in batch.episodes]).repeat_interleave(batch.lengths)
    batch = replace(batch, rewards=batch.rewards * many[:, None])
    assert trained(agent, batch)[0]["rollout/learnt_from"] == float(batch.present[many].sum())


@pytest.mark.parametrize("kind", KINDS)
def test_going_on_gives_the_same_numbers(kind, tmp_path):
    settings = {"kl_coef": 0.2}
    agent = made(kind, **settings)
    batches = [played(agent, seed=seed) for seed in (0, 50)]
    trained(agent, batches[0])
    torch.save(dict(agent.state_dict()), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.manual_seed(77)
    again = set_up(TeamPPO(WALKERS, **{"hidden": 16, "heads": 2, "head_dim": 4, **KINDS[kind], **settings}))[0]
    again.load_state_dict(state)
    assert trained(again, batches[1]) == trained(agent, batches[1])
    assert torch.equal(weights(again), weights(agent))
    if kind == "student":
        for reduce in ("last", "mean", "probe"):
            assert torch.equal(again.context(reduce), agent.context(reduce))


def test_another_run_s_weights_are_taken_alone():
    agent, other = made(), made(lr=0.1)
    trained(agent, played(agent))
    state = agent.state_dict()
    other.load_weights(state)
    assert torch.equal(weights(other), weights(agent))
    assert other.level.saved()["optimizer"]["state"] == {}
    with pytest.raises(RuntimeError, match="size mismatch"):
        made(hidden=8).load_weights(state)


def test_imitation_learns_what_the_policy_does():
    agent = made(lr=0.01, imitation_coef=1.0)
    losses = [trained(agent, played(agent, 40, seed=40 * i))[0]["losses/imitation"] for i in range(8)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_context_is_finite_and_of_one_length():
    agent = made()
    for tasks in (["few"], ["many"], ["few", "many"]):
        trained(agent, played(agent, tasks=tasks))
        found = {reduce: agent.context(reduce) for reduce in ("last", "mean", "probe")}
        assert {name: len(value) for name, value in found.items()} == {"last": 24, "mean": 8, "probe": 8}
        assert all(torch.isfinite(value).all() for value in found.values())
        assert all(value.any() for name, value in found.items() if name != "last")
    with pytest.raises(UserError, match=r"agent\.context_size=32"):
        made("ippo").context("mean")


def test_the_mean_context_does_not_ask_how_many_there_are():
    """Two that see the same are as one; padding is nobody."""
    agent = made()
    observations = torch.randn(5, 1, 2)
    contexts = []
    for team in (1, 2, 4):
        batch = replace(batch_of([torch.zeros(5, team)]), observations=observations.expand(-1, team, -1))
        agent.level.representation.take(wider(replace(batch, legal=torch.ones(5, team, 2).bool()), 3))
        contexts.append(agent.context("mean"))
    assert torch.allclose(contexts[0], contexts[1], atol=1e-6)
    assert torch.allclose(contexts[0], contexts[2], atol=1e-6)


def test_a_probe_looks_at_the_same_episodes_ever_after():
    agent = made()
    trained(agent, played(agent))
    before = agent.context("probe"), agent.context("mean")
    agent.level.representation.take(played(agent, seed=90))
    assert torch.equal(agent.context("probe"), before[0])
    assert not torch.equal(agent.context("mean"), before[1])


def test_the_divergence_is_held_by_its_coefficient():
    agent = made("ippo", kl_coef=0.2, lr=1e-6)
    assert trained(agent, played(agent))[0]["losses/kl_coef"] == pytest.approx(0.1)
    eager = made("ippo", kl_coef=0.2, lr=0.1)
    assert trained(eager, played(eager))[0]["losses/kl_coef"] == pytest.approx(0.3)


def test_the_divergence_of_continuous_actions_counts_their_spread_too():
    """With nothing to gain the entropy alone moves the policy, which is its spread."""
    agent = made("ippo", continuous(), kl_coef=0.2, ent_coef=0.5, lr=0.1, minibatches=1, epochs=2, standardise="none")
    torch.nn.init.zeros_(agent.level.network.critic[-1].weight)  # type: ignore[index, union-attr]
    batch = replace(batch_of([torch.zeros(6, 3)]), actions=torch.zeros(6, 3, 2))
    before = agent.level.log_std.detach().clone()  # type: ignore[union-attr]
    [metrics] = trained(agent, batch)
    assert (agent.level.log_std > before).all()  # type: ignore[operator]
    assert metrics["losses/approx_kl"] > 0.001


def test_a_clipped_value_error_moves_no_critic():
    agent = made("ippo", vf_clip=1e-9, minibatches=1, epochs=1)
    before = {name: p.clone() for name, p in agent.level.named_parameters() if ".critic." in name}
    trained(agent, played(agent))
    assert all(torch.equal(p, before[name]) for name, p in agent.level.named_parameters() if name in before)


def test_errors_of_the_critic_by_task():
    agent = made("ippo")
    trained(agent, played(agent, tasks=["few", "many"]))
    errors = agent.td_error()
    assert set(errors) == {"few", "many"}
    assert errors["many"] > errors["few"] > 0


def test_chance_belongs_to_the_episode():
    agent = made()
    assert torch.equal(played(agent, 4).actions, played(agent, 9).chosen(range(4)).actions)


def test_a_random_team_is_uniform_among_what_is_legal():
    batch = played(RandomTeam(WALKERS), 200)
    asked = batch.present & batch.legal.all(dim=2)
    assert float(batch.actions[asked].float().mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("wrong", [{"lr": 0}, {"gamma": 1.1}, {"network": "gnn"}, {"nonsense": 1}, {"vf_clip": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        TeamPPOSettings(**wrong)


def test_split_weights_are_refused():
    class Split:
        strategy = "fsdp"

    with pytest.raises(UserError, match="trainer=ddp"):
        Level(WALKERS, TeamPPOSettings()).setup(Split())  # type: ignore[arg-type]
