"""What is refused in the config of a particle environment, in one sentence."""

import pytest

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError


def composed(*overrides):
    return compose(["rollout=batched", "logger=none", *overrides])


@pytest.mark.parametrize("env", ["spread", "push_ball", "tag"])
def test_each_stands_as_it_is(env):
    assert composed(f"env={env}").env.num_envs == 96


def test_sizes_mix_where_neighbours_are_limited():
    cfg = composed("env=spread", "env.neighbors=3", "env.tasks=[{n:2,radius:0.4},{n:4,radius:0.2}]")
    assert [task.n for task in cfg.env.tasks] == [2, 4]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["env=spread", "env.n=0"], "env.n"),
        (["env=spread", "env.n=17"], "env.n"),
        (["env=spread", "env.radius=0"], "env.radius"),
        (["env=spread", "env.tasks=[{n:2,radius:-1}]"], "radius"),
        (["env=spread", "env.tasks=[{}]"], "env.tasks.0.n has no value"),
        (["env=spread", "env.tasks=[{n:2,radius:0.4,speed:1}]"], "speed"),
        (["env=spread", "env.tasks=[{n:3,radius:0.4},{n:3,radius:0.4}]"], "n3_r0.4 twice"),
        (["env=spread", "env.tasks=[{n:2,radius:0.4}]"], "set neighbors=3"),
        (["env=spread", "env.neighbors=0"], "env.neighbors"),
        (["env=spread", "env.neighbour=3"], "did you mean 'env.neighbors'"),
        (["env=spread", "env.reward=spares"], "env.reward"),
        (["env=tag", "env.prey_speed=1.5"], "env.prey_speed"),
        (["env=tag", "env.tasks=[{n:2,prey_speed:0.5}]"], "set neighbors=3"),
        (["env=push_ball", "env.success_reward=0"], "env.success_reward"),
    ],
)
def test_refusals_name_the_key(overrides, sentence):
    with pytest.raises(UserError) as caught:
        composed(*overrides)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
