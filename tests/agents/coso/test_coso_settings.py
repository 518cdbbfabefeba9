"""Bad settings are refused with their name, and the YAML files say only what the settings know."""

from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from pydantic import ValidationError

from agentlab_runner.agents.coso.settings import CosoSettings


def agent(name: str) -> dict[str, Any]:
    with initialize_config_module("conf", version_base=None):
        node = compose("config", [f"agent={name}", "seed=3"])
    OmegaConf.resolve(node)
    return OmegaConf.to_container(node.agent)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"alpha": -0.1}, "alpha"),
        ({"scm": {"window": 0}}, "window"),
        ({"gamma": 1.1}, "gamma"),
        ({"filter_quantile": 1.0}, "filter_quantile"),
        ({"entropy": "casual"}, "entropy"),
        ({"scm": {"mode": "fast"}}, "mode"),
        ({"scm": {"width": 30, "heads": 4}}, "heads"),
        ({"mass_matched": True}, "mass_matched"),
        ({"alhpa": 1.0}, "alhpa"),
    ],
)
def test_bad_values_are_named(settings, named):
    with pytest.raises(ValidationError, match=named):
        CosoSettings(**settings)


@pytest.mark.parametrize("name", ["coso", "digirl", "filtered_bc", "coso_released"])
def test_the_configs_are_settings(name):
    plain = agent(name)
    assert plain.pop("_target_") == "agentlab_runner.agents.coso.agent.CosoAgent"
    assert plain.pop("_schema_") == "agentlab_runner.agents.coso.settings.CosoSettings"
    settings = CosoSettings(**plain)
    assert settings.seed == 3
    assert settings.entropy == ("causal" if name.startswith("coso") else "none")
    assert plain.keys() == CosoSettings.model_fields.keys()


def test_released_numbers():
    settings = CosoSettings(**{k: v for k, v in agent("coso_released").items() if not k.startswith("_")})
    scm = settings.scm
    assert (settings.lr, settings.critic_lr, settings.max_grad_norm) == (1e-4, 1e-4, 0.01)
    assert (settings.batch_size, settings.micro_batch, settings.actor_steps, settings.critic_steps) == (128, 4, 20, 5)
    assert (scm.lr, scm.max_grad_norm, scm.pretrain_rounds, scm.rounds, scm.draws) == (1e-5, 0.01, 500, 2, 1024)
    assert (scm.width, scm.layers, scm.heads, scm.pool) == (128, 3, 4, "released_mean")
    assert (settings.filter_quantile, settings.gamma, settings.alpha, settings.replay_capacity) == (0.9, 0.5, 1.0, 2000)
