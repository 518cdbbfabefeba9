"""A task that is asked for by name is played, and one that is not there is refused with those that are."""

import pytest

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.online.parts import make_rollout
from agentlab_runner.runners.processes.trainer import Trainer

TASKS = {
    "numberline": ["numberline"],
    "blackjack": ["blackjack"],
    "alfworld": ["look_at_obj_in_light", "pick_two_obj_and_place"],
    "overcooked": ["tomato_salad"],
    "virtualhome": ["food_preparation"],
    "android": ["open_app", "set_alarm"],
}


@pytest.fixture(params=TASKS)
def env(request):
    rollout = make_rollout(compose([f"env={request.param}", "env.num_envs=1"]), Trainer())
    yield request.param, rollout.envs[0]
    rollout.close()


def test_the_task_asked_for_is_begun_and_seeds_decide_the_rest(env):
    name, made = env
    for task in TASKS[name]:
        first = made.reset(seed=3, options={"episode": 0, "task": task})
        assert first[1]["task"] == task
        again = made.reset(seed=3, options={"episode": 0, "task": task})
        assert (first[0]["text"], first[1]["goal"]) == (again[0]["text"], again[1]["goal"])


def test_a_task_that_is_not_there_is_refused_with_those_that_are(env):
    name, made = env
    with pytest.raises(ValueError, match=r"'fly'.*" + TASKS[name][0]):
        made.reset(seed=3, options={"task": "fly"})


def test_several_of_a_kind_are_told_apart():
    rollout = make_rollout(compose(["env=virtualhome", "env.num_envs=1", "env.task=[cheese,pizza]"]), Trainer())
    (made,) = rollout.envs
    for task in ("pizza", "cheese"):
        assert made.reset(seed=0, options={"task": task})[1]["task"] == task
    rollout.close()


def test_a_phone_counts_within_the_task_asked_for():
    rollout = make_rollout(compose(["env=android", "env.num_envs=1", "env.sampling=sequential"]), Trainer())
    (made,) = rollout.envs
    goals = [made.reset(seed=0, options={"episode": i, "task": "set_alarm"})[1]["goal"] for i in range(4)]
    assert len(set(goals)) == 4
    rollout.close()
