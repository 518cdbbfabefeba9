"""Tasks: enough of them, disjoint splits, predicates that only look."""

import hashlib
import random

import numpy as np
import pytest

from agentlab_runner.envs.android import tasks
from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.devices.sim import SimPhone

RANK, TEST_SPLIT = 9584472502122853016, "2d21c71ef0ba40e2"
"""As first released."""
EVERY = [task for split in ("train", "test") for task in tasks.tasks("all", split)]


def test_there_are_enough_templates_on_three_levels():
    assert len(tasks.TASK_SETS["general"]) >= 20
    assert {template.level for template in tasks.TASK_SETS["general"]} == {1, 2, 3}
    assert [template.level for template in tasks.TASK_SETS["webshop"]] == [1, 2, 3]
    assert len(tasks.TEMPLATES) == len(tasks.TASK_SETS["all"])
    for template in tasks.TASK_SETS["all"]:
        assert len(template.goals) >= 2


@pytest.mark.parametrize("template", tasks.TEMPLATES.values(), ids=lambda template: template.name)
def test_train_and_test_share_no_combination_and_together_are_all(template):
    split = tasks.split_of(template)
    train, test = set(split["train"]), set(split["test"])
    assert train.isdisjoint(test)
    assert train | test == set(template.combinations())
    assert 0.2 <= len(test) / (len(train) + len(test)) <= 0.35
    for name in template.held_out:
        used = {dict(params)[name] for params in train}
        assert 1 <= len(set(template.values[name]) - used) <= len(template.values[name]) // 4
    for name, values in template.values.items():
        if name not in template.held_out and len(template.values) > 1:
            assert {dict(params)[name] for params in train} == set(values), (
                f"{name} has a value that training never sees"
            )


def test_the_split_is_the_same_on_every_machine():
    assert tasks.rank("a", "b") == RANK
    assert hashlib.sha256(repr(tasks.tasks("all", "test")).encode()).hexdigest()[:16] == TEST_SPLIT, (
        "the test split changed: results before and after cannot be compared; if that is meant, say so in CHANGELOG.md"
    )


def test_a_prefix_of_the_list_holds_every_template():
    first = {task.template for task in tasks.tasks("general", "test")[: len(tasks.TASK_SETS["general"])]}
    assert first == {template.name for template in tasks.TASK_SETS["general"]}


def test_goals_are_filled_and_name_what_they_ask_for():
    for task in EVERY:
        assert "{" not in task.goal
        for name, value in task.params:
            if name != "start":
                assert value in task.goal


def test_no_task_is_done_at_its_start_and_asking_changes_nothing():
    phone = SimPhone()
    for seed, task in enumerate(EVERY):
        phone.reset(task, seed)
        before = phone.snapshot()
        assert not phone.task_success(task), task
        assert phone.state == before


@pytest.mark.parametrize("make", [random.Random, np.random.default_rng])
def test_samples_come_from_their_split_and_from_every_template(make):
    rng = make(0)
    for split in ("train", "test"):
        known = {(task.template, task.params) for task in tasks.tasks("all", split)}
        drawn = [tasks.sample(rng, "all", split) for _ in range(600)]
        assert {(task.template, task.params) for task in drawn} <= known
        assert {task.template for task in drawn} == set(tasks.TEMPLATES)
    assert tasks.sample(make(5), "webshop", "train") == tasks.sample(make(5), "webshop", "train")


def test_named_templates_are_all_that_is_played():
    names = ("open_app", "set_volume")
    assert {task.template for task in tasks.tasks("general", "test", names)} == set(names)
    rng = random.Random(0)
    assert {tasks.sample(rng, "all", "train", names).template for _ in range(40)} == set(names)


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(ValueError, match="task set general has no template 'shop_visit'; choose from open_app"):
        tasks.templates("general", ("shop_visit",))
    with pytest.raises(ValueError, match="choose one of general, webshop, all"):
        tasks.tasks("shopping", "train")
    with pytest.raises(ValueError, match="choose train or test"):
        tasks.tasks("general", "dev")
    with pytest.raises(ValueError, match="no task template 'cook'"):
        tasks.success(TaskSpec("cook", "Cook", 1), SimPhone().state)
