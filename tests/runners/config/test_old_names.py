"""Configs of runs made before code moved."""

from importlib import import_module

import pytest

from agentlab_runner.runners.config.identity import config_hash
from agentlab_runner.runners.config.old_names import NEW, renamed

OLD = {"seed": 1, "env": {"_target_": "envs.cards.make", "parsers": [{"_target_": "envs.cards.actions.CardsParser"}]}}


def test_every_target_gets_its_name_of_today():
    assert renamed(OLD) == {
        "seed": 1,
        "env": {
            "_target_": "agentlab_runner.envs.cards.make",
            "parsers": [{"_target_": "agentlab_runner.envs.cards.actions.CardsParser"}],
        },
    }


def test_what_is_not_ours_keeps_its_name():
    assert renamed({"agent": {"_target_": "agents.mine.Agent"}}) == {"agent": {"_target_": "agents.mine.Agent"}}


def test_a_move_leaves_the_hash():
    assert config_hash(OLD) == config_hash(renamed(OLD)) != config_hash({**OLD, "seed": 2})


@pytest.mark.parametrize("name", sorted(NEW.values()))
def test_each_new_name_is_there(name):
    found, attributes = None, name.split(".")
    for number in range(len(attributes), 0, -1):
        try:
            found = import_module(".".join(attributes[:number]))
        except ImportError:
            continue
        for attribute in attributes[number:]:
            found = getattr(found, attribute)
        break
    assert callable(found)
