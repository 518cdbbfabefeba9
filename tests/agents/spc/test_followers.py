"""Teachers that follow progress, mastery or a plan, against numbers by hand."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from agentlab_runner.agents.spc.mastery import Mastery
from agentlab_runner.agents.spc.progress import AlpGmm, learning_progress, places
from agentlab_runner.agents.spc.spmarl import Spmarl, divergence, moved
from agentlab_runner.agents.spc.staged import Epc, Schedule
from agentlab_runner.agents.spc.vacl import Vacl, novel, repulsion
from agentlab_runner.runners.errors import UserError
from tests.agents.spc.students import TASKS, Mistaken, Silent, episode, ready, rounds


def heard(teacher, scores, student=None):
    """One iteration of episodes with these scores by task."""
    teacher.propose(len(scores))
    teacher.feedback([episode(name, score) for name, score in scores], [], student or Silent())


def test_learning_progress_by_hand():
    scores = [9.0, 0.0, 0.2, 0.4, 0.5, 0.6, 0.7]
    assert learning_progress(scores, 6) == pytest.approx(0.6 - 0.2)
    assert learning_progress(scores[:0:-1], 6) == pytest.approx(0.6 - 0.2)  # falling counts as well
    assert learning_progress(scores, 8) is None


def test_tasks_are_played_in_proportion_to_their_progress():
    teacher = ready(AlpGmm, window=4, bootstrap=1, fit_every=1, mixture=False, alpha=0.2)
    for number in range(4):
        heard(teacher, [("n1", 0.3 * (number > 1)), ("n2", 1 - 0.1 * (number > 1)), ("n4", 0.5)])
    assert_allclose(teacher.probabilities(), 0.8 * np.array([0.75, 0.25, 0]) + 0.2 / 3)


def test_the_mixture_finds_the_task_that_moves():
    teacher = ready(AlpGmm, window=20, bootstrap=60, fit_every=60, buffer=120, max_components=4)
    for number in range(60):
        heard(teacher, [("n1", 0.0), ("n2", number / 60), ("n4", 0.9)])
    assert teacher.shares.argmax() == 1
    assert teacher.shares[1] > 0.7
    assert teacher.shares.sum() == pytest.approx(1)


def test_places_are_the_numbers_in_which_tasks_differ():
    assert_allclose(places(list(TASKS.values())), [[0], [1 / 3], [1]])
    assert_allclose(places([{"n": 4, "r": 0.4}, {"n": 4, "r": 0.2}]), [[1], [0]])
    assert_allclose(places([{}, {}, {}]), [[0], [0.5], [1]])


def test_vacl_moves_solved_points_and_drops_weak_ones_when_full():
    teacher = ready(Vacl, initial=20, buffer=20, reproduction=10, replay=0.0)
    teacher.propose(20)
    teacher.asked_points = list(range(20))
    points = teacher.active.copy()
    scores = [1.0] * 2 + [0.2] * 3 + [0.7] * 15
    teacher.feedback([episode("n1", score) for score in scores], [], Silent())
    assert_allclose(teacher.solved, points[:2])
    assert len(teacher.active) == 20
    assert not any((teacher.active == weak).all(axis=1).any() for weak in points[2:5])
    assert_allclose(teacher.active.sum(axis=1), 1)
    assert (teacher.active >= 0).all()


def test_vacl_keeps_weak_points_while_there_is_room():
    teacher = ready(Vacl, initial=20, buffer=200, reproduction=10, replay=0.0)
    teacher.propose(2)
    teacher.asked_points = [0, 1]
    teacher.feedback([episode("n1", 1.0), episode("n1", 0.2)], [], Silent())
    assert len(teacher.active) == 20 - 1 + 10


def test_vacl_plays_what_is_solved_when_nothing_else_is_left():
    teacher = ready(Vacl, initial=3, buffer=50, reproduction=1)
    rounds(teacher, 60, lambda task, number: 1.0, episodes=8)
    assert len(teacher.solved) > 0
    assert teacher.probabilities().sum() == pytest.approx(1)


def test_repulsion_points_away_and_novelty_keeps_who_stands_apart():
    away = repulsion(np.array([[0.6, 0.4], [0.5, 0.5]]), np.array([[0.5, 0.5]]), 1.0)
    assert_allclose(away, [[math.sqrt(0.5), -math.sqrt(0.5)], [0, 0]])
    points = np.array([[0.0, 0.0], [0.0, 0.01], [5.0, 0.0], [0.01, 0.0]])
    assert novel(points, 1, 1).tolist() == [2]


def test_spmarl_steps_as_far_as_it_may_and_no_further():
    uniform, target, value = np.full(3, 1 / 3), np.array([0.02, 0.03, 0.95]), np.array([1.0, 0.0, 0.0])
    step = moved(uniform, value, target, 0.0, 0.05)
    assert divergence(step, uniform) == pytest.approx(0.05, rel=1e-4)
    assert step[0] > 1 / 3 > step[1] == pytest.approx(step[2])
    assert_allclose(moved(uniform, value * 0, target, 1.0, 100.0), target, rtol=1e-6)  # the bound binds nothing


def test_spmarl_heeds_td_errors_and_is_pulled_to_its_target():
    teacher = ready(Spmarl, pull_from=1000)
    for _ in range(20):
        name = teacher.propose(1)[0]
        student = Mistaken(errors={"n1": 0.1, "n2": 1.0, "n4": 0.1})
        teacher.feedback([episode(name, 0.5)], [], student)
    assert teacher.shares.argmax() == 1
    drawn = ready(Spmarl, pull_from=0, pull=50.0, target="n1")
    rounds(drawn, 60, lambda task, number: number / 60)
    assert drawn.shares[0] > 0.8


def test_mastery_moves_on_and_comes_back_after_forgetting():
    """A score that climbs to .5 and stays there is enough; no threshold says so."""
    teacher = ready(Mastery, window=8, alpha=0.01, smoothing=0.5)
    for number in range(30):
        heard(teacher, [("n1", min(0.5, number * 0.05))])
    assert teacher.preference().argmax() == 1
    for _ in range(4):
        heard(teacher, [("n1", 0.1)])
    assert teacher.preference().argmax() == 0


def test_an_absolute_threshold_out_of_reach_holds_at_the_first_task():
    relative, absolute = (ready(Mastery, test=test, threshold=0.6) for test in ("relative", "absolute"))
    for teacher in (relative, absolute):
        for number in range(60):
            heard(teacher, [("n1", min(0.5, number * 0.05))])
    assert relative.preference().argmax() == 1
    assert absolute.preference().argmax() == 0


def test_what_never_climbs_is_passed_over_after_patience():
    teacher = ready(Mastery, window=4, patience=20)
    places = []
    for _ in range(25):
        heard(teacher, [("n1", 0.0)])
        places.append(int(teacher.preference().argmax()))
    assert places[:19] == [0] * 19
    assert places[-1] == 1


def test_the_learnt_order_is_that_of_scores_with_the_unknown_first():
    teacher = ready(Mastery, order="learnt", test="absolute", threshold=0.9)
    heard(teacher, [("n2", 0.3), ("n4", 0.8)])
    assert teacher.order() == [0, 2, 1]
    heard(teacher, [("n1", 0.1)])
    assert teacher.order() == [2, 1, 0]


def test_a_plan_is_kept_by_what_it_counts():
    plan = [{"until": 0.5, "shares": {"n1": 1.0}}, {"until": 1.0, "shares": {"n2": 1.0, "n4": 3.0}}]
    teacher = ready(Schedule, total=40, unit="env_steps", plan=plan)
    assert_allclose(teacher.probabilities(), [1, 0, 0])
    teacher.propose(1)
    teacher.feedback([episode("n1", steps=20)], [], Silent())
    assert_allclose(teacher.probabilities(), [0, 0.25, 0.75])
    asked = rounds(ready(Schedule, total=6), 8, lambda *_: 1.0)
    assert [names[0] for names in asked] == ["n1", "n1", "n2", "n2", "n4", "n4", "n4", "n4"]


def test_epc_doubles():
    tasks = {"a": {"n": 2.0}, "b": {"n": 3.0}, "c": {"n": 4.0}, "d": {"n": 16.0}}
    teacher = ready(Epc, tasks=tasks, total=3)
    assert [shares.tolist() for _, shares in teacher.stages] == [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (Schedule, {"total": 9, "plan": [{"until": 1.0, "shares": {"n3": 1.0}}]}, "plays 'n3', but the tasks are n1"),
        (Epc, {"total": 9, "by": "radius"}, "curriculum.by=NAME"),
        (Spmarl, {"target": "n8"}, "curriculum.target is 'n8'"),
    ],
)
def test_tasks_that_are_not_there_are_named(kind, settings, said):
    with pytest.raises(UserError, match=said):
        ready(kind, **settings)
