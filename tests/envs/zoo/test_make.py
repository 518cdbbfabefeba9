"""Environments by the name of their module."""

import pytest

from agentlab_runner.envs.zoo.make import make
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError


def test_an_installed_one_is_made_with_its_arguments():
    env = make("mpe2.simple_spread_v3", {"N": 4, "max_cycles": 9})
    assert len(env.possible_agents) == 4


@pytest.mark.parametrize(
    ("name", "kwargs", "says"),
    [
        ("mpe9.simple", None, "env.id=mpe9.simple cannot be imported.*install the package"),
        ("mpe2", None, "env.id=mpe2 is no environment of PettingZoo's parallel API; it has .*simple_spread_v3"),
        ("json", None, "name a module that has a parallel_env"),
        ("mpe2.simple_spread_v3", {"NN": 3}, "does not take env.kwargs={'NN': 3}"),
    ],
)
def test_what_cannot_be_made_is_told(name, kwargs, says):
    with pytest.raises(ValueError, match=says):
        make(name, kwargs)


def test_a_name_is_asked_for_and_must_be_one():
    with pytest.raises(UserError, match=r"env\.id has no value; add env\.id=VALUE"):
        compose(["+exp=ippo_pettingzoo"])
    with pytest.raises(UserError, match=r"env\.id is"):
        compose(["+exp=ippo_pettingzoo", "env.id='a b'"])
