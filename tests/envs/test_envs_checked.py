"""What every environment promises holds for those of the house; each room's own tests know more."""

import pytest

from agentlab_runner.envs.browsergym.client import BESIDE
from agentlab_runner.runners.check.check import check
from agentlab_runner.runners.check.finding import State
from agentlab_runner.runners.config.listing import choices
from agentlab_runner.runners.errors import UserError

APART = ("cards", "browsergym")  # which is made of the four games; and which needs what is installed apart
TEAMS = ("pettingzoo", "push_ball", "spread", "tag")  # held to PettingZoo's tests, and to those of their rooms
NAMED = [[f"env={name}"] for name in sorted(choices("env")) if name not in (*APART, *TEAMS)]
OTHERWISE = [
    ["env=alfworld", "env.observation=both", "env.parser.format=action_only", "env.commands=none"],
    ["env=points24", "env.observation=text", "env.format=action_only", "env.prompt=short"],
    ["env=overcooked", "env.task=tomato_lettuce_salad", "env.room=B", "env.image=true"],
    ["env=virtualhome", "env.task=[cheese,pizza]"],
    ["env=android", "env.observation=both", "env.task_set=webshop", "env.split=test"],
    ["env=miniwob", "env.action=phrases", "env.image=true"],
]
NEEDS = [pytest.mark.slow, pytest.mark.skipif(not BESIDE.exists(), reason="needs BrowserGym: make browsergym")]
SLOW = [pytest.param(["env=browsergym", f"env.action={action}"], marks=NEEDS) for action in ("code", "phrases")]


@pytest.mark.parametrize("overrides", [*NAMED, *OTHERWISE, *SLOW], ids=" ".join)
def test_it_holds(overrides):
    findings = check(overrides, episodes=2 if "env=browsergym" in overrides else 4)
    assert [(one.check, one.said) for one in findings if one.state is State.BROKEN] == []
    asked = {one.check for one in findings if one.state is State.HELD}
    assert {"seeds decide", "another worker", "another process", "recorded", "task by name"} <= asked


@pytest.mark.parametrize("overrides", [["env=spread"], ["+exp=ippo_mpe"], ["env=pettingzoo"]], ids=" ".join)
def test_a_team_s_environment_is_told_where_it_is_checked(overrides):
    with pytest.raises(UserError, match="PettingZoo's own tests"):
        check(overrides)
