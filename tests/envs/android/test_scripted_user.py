"""The scripted user solves every task, from anywhere, and fails exactly where it is told to."""

import random
import re
from types import SimpleNamespace

import pytest

from agentlab_runner.envs.android import tasks
from agentlab_runner.envs.android.actions import AitwParser
from agentlab_runner.envs.android.device import Key, TaskSpec
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.hand import perform
from agentlab_runner.envs.android.scripted_user import ScriptedUser, next_move
from agentlab_runner.envs.android.sim.apps import APPS
from agentlab_runner.envs.android.sim.state import open_app

FORM = re.compile(
    r'Action Plan: \[([A-Z_, ]+)\] Action Decision: "action_type": "([A-Z_]+)", '
    r'"touch_point": "\[(-?\d\.\d+), (-?\d\.\d+)\]", '
    r'"lift_point": "\[(-?\d\.\d+), (-?\d\.\d+)\]", "typed_text": "(.*)"'
)
KEYS = {"PRESS_HOME": Key.HOME, "PRESS_BACK": Key.BACK, "PRESS_ENTER": Key.ENTER}
EVERY = [task for split in ("train", "test") for task in tasks.tasks("all", split)]


def episode(
    phone: SimPhone, user: ScriptedUser, task: TaskSpec, seed: int, horizon: int = 20
) -> tuple[bool, list[str]]:
    """Play an episode as the environment does; success, and what was said."""
    phone.reset(task, seed)
    env = SimpleNamespace(unwrapped=SimpleNamespace(device=phone, task=task, parser=AitwParser()))
    user.begin(env, seed)
    said = []
    for _ in range(horizon):
        said.append(user.decide(env))
        found = FORM.fullmatch(said[-1])
        assert found, said[-1]
        _, kind, y0, x0, y1, x1, text = found.groups()
        start, end = ((int(float(x) * 1080), int(float(y) * 2280)) for x, y in ((x0, y0), (x1, y1)))
        if kind == "DUAL_POINT":
            phone.tap(*start) if start == end else phone.swipe(*start, *end)
        elif kind == "TYPE":
            phone.type_text(text)
        elif kind in KEYS:
            phone.keyevent(KEYS[kind])
        if phone.task_success(task):
            return True, said
        if kind == "STATUS_TASK_COMPLETE":
            return False, said
    return False, said


def test_the_expert_solves_every_task_of_both_splits_within_its_horizon():
    phone = SimPhone(popup_rate=0.05, slow_rate=0.05)
    for seed, task in enumerate(EVERY):
        phone.reset(task, seed)
        for _ in range(10):
            if phone.task_success(task):
                break
            perform(phone, next_move(phone, task))
        assert phone.task_success(task), task
        assert next_move(phone, task).kind == "complete"


@pytest.mark.parametrize("template", tasks.TEMPLATES)
def test_the_expert_finds_its_way_from_anywhere(template):
    rng = random.Random(template)
    phone = SimPhone(popup_rate=0.2, slow_rate=0.1)
    every = [task for task in EVERY if task.template == template]
    for seed in range(8):
        task = rng.choice(every)
        phone.reset(task, seed)
        if seed % 2:
            open_app(phone.state, rng.choice(list(APPS)))
        for _ in range(6):
            phone.tap(rng.randrange(1080), rng.randrange(300, 2160))
        sent_away = phone.snapshot()
        for _ in range(25):
            if phone.task_success(task):
                break
            perform(phone, next_move(phone, task))
        assert phone.task_success(task), (task, sent_away.page.key)


@pytest.mark.parametrize("template", tasks.TEMPLATES)
def test_a_user_who_slips_always_fails_and_says_done(template):
    phone, user = SimPhone(), ScriptedUser(slip=1, slip_templates="all")
    for seed, task in enumerate([task for task in EVERY if task.template == template][:6]):
        success, said = episode(phone, user, task, seed)
        assert not success
        assert '"action_type": "STATUS_TASK_COMPLETE"' in said[-1]


def test_a_slip_differs_from_the_expert_only_at_its_critical_step():
    phone = SimPhone(popup_rate=0, slow_rate=0)
    for seed, task in enumerate(tasks.tasks("webshop", "train")[:30]):
        good, expert = episode(phone, ScriptedUser(), task, seed)
        _, careless = episode(phone, ScriptedUser(slip=1, slip_templates="all"), task, seed)
        decided = [[text.split("Action Decision: ")[1] for text in said] for said in (expert, careless)]
        assert good
        assert decided[0][:-1] == decided[1][: len(decided[0]) - 1]
        assert decided[0][-1] != decided[1][len(decided[0]) - 1]


def test_an_early_mistake_is_to_stop_one_step_before_the_end():
    phone = SimPhone(popup_rate=0, slow_rate=0)
    for seed, task in enumerate(EVERY[:30]):
        _, expert = episode(phone, ScriptedUser(), task, seed)
        _, careless = episode(phone, ScriptedUser(slip=1, slip_templates="all", mistake="early"), task, seed)
        assert len(careless) == len(expert)
        assert "STATUS_TASK_COMPLETE" in careless[-1].split("Action Decision: ")[1]
    with pytest.raises(ValueError, match="choose own or early"):
        ScriptedUser(mistake="late")


def test_half_of_the_templates_slip_at_the_rate_asked_for():
    user, phone = ScriptedUser(slip=0.7, slip_templates="half"), SimPhone(popup_rate=0, slow_rate=0)
    assert 0.4 <= len(user.careless) / len(tasks.TEMPLATES) <= 0.6
    careful = [task for task in EVERY if task.template not in user.careless][:40]
    assert all(episode(phone, user, task, seed)[0] for seed, task in enumerate(careful))
    careless = [task for task in tasks.tasks("all", "train") if task.template in user.careless][:120]
    rate = sum(not episode(phone, user, task, seed)[0] for seed, task in enumerate(careless)) / len(careless)
    assert 0.58 < rate < 0.82


def test_detours_do_not_keep_the_user_from_its_goal():
    phone, user = SimPhone(), ScriptedUser(wander=0.2)
    plain = ScriptedUser()
    longer = 0
    for seed, task in enumerate(EVERY[:80]):
        success, said = episode(phone, user, task, seed, horizon=40)
        assert success, task
        longer += len(said) - len(episode(phone, plain, task, seed)[1])
    assert longer > 20


def test_the_same_seed_gives_the_same_demonstration():
    phone, user = SimPhone(), ScriptedUser(slip=0.5, slip_templates="all", wander=0.3)
    for seed in range(10):
        assert episode(phone, user, EVERY[seed], seed) == episode(phone, user, EVERY[seed], seed)


def test_planning_leaves_the_phone_alone():
    phone, user = SimPhone(), ScriptedUser(slip=1, slip_templates="all")
    task = tasks.tasks("webshop", "train")[2]
    phone.reset(task, 0)
    env = SimpleNamespace(unwrapped=SimpleNamespace(device=phone, task=task, parser=AitwParser()))
    user.begin(env, 0)
    before = phone.snapshot()
    user.decide(env)
    assert phone.state == before


def test_the_plan_says_what_comes():
    phone = SimPhone(popup_rate=0, slow_rate=0)
    task = next(task for task in EVERY if task.template == "shop_search")
    said = episode(phone, ScriptedUser(), task, 0)[1]
    plans = [FORM.fullmatch(text)[1].split(", ") for text in said]
    kinds = [FORM.fullmatch(text)[2] for text in said] + ["STATUS_TASK_COMPLETE"]
    for step, plan in enumerate(plans):
        assert plan == kinds[step : step + 3]


def test_there_are_few_places_to_touch():
    phone, user = SimPhone(popup_rate=0, slow_rate=0), ScriptedUser()
    points = set()
    for seed, task in enumerate(tasks.tasks("webshop", "train")[:90]):
        points |= {FORM.fullmatch(text).group(3, 4) for text in episode(phone, user, task, seed)[1]}
    assert len(points) <= 12


@pytest.mark.parametrize(
    "options", [{"slip": 1.5}, {"wander": -1}, {"slip_templates": "cook"}, {"slip_templates": ["open_app", "cook"]}]
)
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ScriptedUser(**options)


def test_only_the_simulated_phone_can_be_looked_into():
    env = SimpleNamespace(unwrapped=SimpleNamespace(device=object(), task=EVERY[0], parser=AitwParser()))
    user = ScriptedUser()
    user.begin(env, 0)
    with pytest.raises(ValueError, match="env/device=sim"):
        user.decide(env)
