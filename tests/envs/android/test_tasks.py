"""Tasks: enough of them, disjoint splits, predicates that only look."""

import hashlib
import random
from collections import Counter

import numpy as np
import pytest

from agentlab_runner.envs.android import tasks
from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.runners.config.compose import compose

RANK, TEST_SPLIT = 9584472502122853016, "9db1f6f59be69b4f"
"""The split since 30 November 2026."""
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
    assert {*split["train"], *split["test"]} == set(template.combinations())
    train, test = ({tuple(pair for pair in params if pair[0] != "start") for params in split[name]} for name in split)
    assert train.isdisjoint(test)
    if len(train | test) == 1:
        assert not test, "what can be asked for in one way only is nothing to generalise to"
        return
    assert 0.2 <= len(test) / (len(train) + len(test)) <= 0.35
    gaps = {name: set(values) for name, values in template.values.items() if name != "start"}
    for name, values in gaps.items():
        unseen = values - {dict(params)[name] for params in train}
        if len(gaps) == 1:
            assert unseen == {dict(params)[name] for params in test}
        elif name in template.held_out:
            assert 1 <= len(unseen) <= len(values) // 4
        else:
            assert not unseen, f"{name} has a value that training never sees"


@pytest.mark.parametrize("task_set", tasks.TASK_SETS)
def test_no_test_task_is_a_training_task_that_starts_elsewhere(task_set):
    def asked(task):
        return task.template, *(pair for pair in task.params if pair[0] != "start")

    test = tasks.tasks(task_set, "test")
    assert not {asked(task) for task in test} & {asked(task) for task in tasks.tasks(task_set, "train")}
    assert len({(task.template, task.params) for task in test}) == len(test) >= 96


def test_the_main_experiment_is_evaluated_on_tasks_that_are_all_different():
    cfg = compose(["+exp=coso_android"])
    held_out = tasks.tasks(cfg.env.task_set, "test", tuple(cfg.env.templates))
    assert len(held_out) >= cfg.eval.episodes >= 96
    families = cfg.eval.also.families.templates
    assert sorted([*families, *cfg.env.templates]) == sorted(template.name for template in tasks.TASK_SETS["all"])
    assert len(tasks.tasks(cfg.env.task_set, "test", tuple(families))) >= cfg.eval.episodes


def test_the_split_is_the_same_on_every_machine():
    assert tasks.rank("a", "b") == RANK
    assert hashlib.sha256(repr(tasks.tasks("all", "test")).encode()).hexdigest()[:16] == TEST_SPLIT, (
        "the test split changed: results before and after cannot be compared; if that is meant, say so in CHANGELOG.md"
    )


def can_be_tested(templates):
    """The names of those that can be asked for in more than one way."""
    return {one.name for one in templates} - {"take_photo", "start_stopwatch"}


def test_a_prefix_of_the_list_holds_every_template():
    names = can_be_tested(tasks.TASK_SETS["general"])
    assert {task.template for task in tasks.tasks("general", "test")[: len(names)]} == names


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
        assert {task.template for task in drawn} == (
            set(tasks.TEMPLATES) if split == "train" else can_be_tested(tasks.TEMPLATES.values())
        )
    assert tasks.sample(make(5), "webshop", "train") == tasks.sample(make(5), "webshop", "train")


def test_uniform_sampling_draws_tasks_alike_and_every_wording():
    rng = random.Random(0)
    drawn = [tasks.sample(rng, "webshop", "train", uniform=True) for _ in range(3000)]
    counts = Counter(task.template for task in drawn)
    listed = Counter(task.template for task in tasks.tasks("webshop", "train"))
    for name, number in listed.items():
        assert counts[name] / 3000 == pytest.approx(number / listed.total(), abs=0.04)
    assert {task.goal.split()[0] for task in drawn} >= {"Go", "Open", "Visit", "Search", "Look", "On"}


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
