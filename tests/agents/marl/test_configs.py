"""The configs of this room say what their settings take."""

from importlib import import_module
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.agents.marl.batches import WALKERS

CONF = Path(__file__).parents[3] / "conf" / "agent"
NAMES = ("team_ppo", "ippo", "mappo", "hierarchy", "random_team", "qmix")


def named(target: str):
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_is_made_of_each(name):
    if name == "qmix":
        pytest.importorskip("torchrl")
    node = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    assert isinstance(node, dict)
    own = {key: value for key, value in node.items() if not key.startswith("_")}
    settings = named(node["_schema_"])(**own)
    assert node["_fits_"] == ["batched", "parallel"]
    agent = named(node["_target_"])(WALKERS, **own)
    assert getattr(agent, "settings", settings) == settings
    if name in ("ippo", "mappo", "team_ppo"):
        chosen = {"ippo": ("mlp", "own"), "mappo": ("mlp", "central"), "team_ppo": ("attention", "own")}[name]
        assert (agent.level.settings.network, agent.level.settings.critic) == chosen
    if name in ("team_ppo", "hierarchy"):
        assert agent.context("mean").shape == (32,)
