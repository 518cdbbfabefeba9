"""The configs of this room are valid, light, and refuse what cannot be."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from agentlab_runner.agents.twosome.settings import TwosomeSettings
from agentlab_runner.runners.claim.claim import Jobs, read
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError

AGENTS = (
    *("twosome", "twosome_exploring", "twosome_released", "poad", "ntpo"),
    *("zero_shot", "random_phrase", "saycan", "vector_ppo"),
)


@pytest.mark.parametrize("name", AGENTS)
def test_every_config_is_valid_and_says_what_it_is(name):
    actions = ["agent.num_actions=5"] if name in ("saycan", "vector_ppo") else []
    assert compose([f"agent={name}", *actions]).agent._target_.startswith("agentlab_runner.agents.twosome.")
    assert (Path(__file__).parents[3] / "conf" / "agent" / f"{name}.yaml").read_text().startswith("# ")


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["agent=twosome", "agent.normalisation=mean"], "agent.normalisation"),
        (["agent=twosome", "agent.adv_norm=all"], "agent.adv_norm"),
        (["agent=twosome", "agent.policy_minibatch=0"], "agent.policy_minibatch"),
        (["agent=twosome", "agent.total_decisions=100", "agent.critic_warmup=100"], "leaves nothing after"),
        (["agent=vector_ppo"], "agent.num_actions has no value"),
    ],
)
def test_wrong_values_are_refused(overrides, fault):
    with pytest.raises(UserError, match=fault):
        compose(overrides)


def test_the_published_numbers_are_the_released_scripts():
    agent = compose(["agent=twosome_released"]).agent
    published = {"policy_lr": 5e-7, "value_lr": 1e-5, "gae_lambda": 0.95, "clip_coef": 0.2, "ent_coef": 0.01}
    published |= {"accumulation": 8, "policy_minibatch": 4, "value_minibatch": 32, "target_kl": 0.02}
    assert {key: agent[key] for key in published} == published


@pytest.mark.parametrize("task", ["tomato_salad", "tomato_lettuce", "food_preparation", "entertainment"])
def test_the_siblings_of_an_experiment_play_the_same_task_by_another_agent(task):
    own, *others = (compose([f"+exp={method}_{task}"]) for method in ("twosome", "ppo", "saycan"))
    for other in others:
        assert other.env == own.env
        assert other.agent._target_ != own.agent._target_
        assert (other.agent.gamma, other.agent.num_actions) == (own.agent.gamma, own.agent.num_actions)


@pytest.mark.parametrize("name", ["normalisation", "baselines", "ppo", "unseen"])
def test_every_claim_composes(name):
    Jobs(read(f"twosome_{name}"), []).check()


def test_unseen_tasks_share_one_training():
    jobs = Jobs(read("twosome_unseen"), [])
    assert len({tuple(jobs.overrides(setting, "trained", {}, 0)) for setting in jobs.settings.settings}) == 1


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError):
        TwosomeSettings(learning_rate=1.0)


def test_settings_are_light():
    light = "sys.exit(bool({'torch', 'transformers'} & sys.modules.keys()))"
    code = f"import sys, agentlab_runner.agents.twosome.settings; {light}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
