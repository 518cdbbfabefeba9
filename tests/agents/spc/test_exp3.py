"""Bandits against numbers by hand, and over a long life."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from agentlab_runner.agents.spc.exp3 import Exp3, Exp3S, mixed, shared, softmax, updated
from agentlab_runner.agents.spc.exp3_context import Exp3Context
from agentlab_runner.agents.spc.ucb import Ucb
from agentlab_runner.runners.errors import UserError
from tests.agents.spc.students import Mistaken, Silent, Student, episode, ready, rounds


def test_both_rules_by_hand():
    start = np.zeros(3)  # p = 1/3: with importance the arm gains .3 * (.5 / (1/3)) / 3 = .15, without .3 * .5 / 3 = .05
    exp3, paper = (updated(start, 1, 0.5, 0.3, rule) for rule in ("exp3", "paper"))
    assert_allclose(exp3 - exp3[0], [0, 0.15, 0])
    assert_allclose(paper - paper[0], [0, 0.05, 0])
    ratio = math.exp(0.15)
    assert_allclose(mixed(exp3, 0.3)[1], 0.7 * ratio / (ratio + 2) + 0.1)


def test_the_reward_is_four_fifths_target_and_one_fifth_training():
    teacher = ready(Exp3, alpha=0.3)
    assert list(teacher.propose(2)) == ["n1", "n1"]  # the first arm, as released
    metrics = teacher.feedback([episode("n1", 0.5), episode("n1", 1.0)], [episode("x", 0.25)] * 2, Silent())
    assert metrics["curriculum/reward"] == pytest.approx(0.8 * 0.25 + 0.2 * 0.75)
    weights = teacher.log_weights - teacher.log_weights[1]
    assert_allclose(weights, [0.3 * 0.35 * 3 / 3, 0, 0])


def test_scores_are_scaled_and_clipped():
    teacher = ready(Exp3, min_score=-1.0, max_score=1.0, eval_mix=0.0)
    teacher.propose(3)
    teacher.feedback([episode("n1", score) for score in (-7.0, 0.0, 9.0)], [], Silent())
    assert teacher.paid == pytest.approx(0.5)
    assert teacher.target_episodes == 0


def test_without_scores_of_training_the_target_counts_alone():
    teacher = ready(Exp3)
    teacher.propose(1)
    teacher.feedback([episode("n1", math.nan)], [episode("x", 0.25)], Silent())
    assert teacher.paid == 0.25


def test_large_weights_keep_their_shares():
    equal = np.full(3, 400.0)  # where subtracting their sum gives exp(-800) / 0
    assert_allclose(softmax(equal), np.full(3, 1 / 3))
    assert_allclose(softmax(equal + np.arange(3.0)), softmax(np.arange(3.0)))


def test_exp3s_shares_by_hand():
    found = shared(np.log(np.array([1.0, 2.0, 5.0])), 0.03)
    given = math.e * 0.03 * 8 / 3
    assert_allclose(np.exp(found), np.array([1 + given, 2 + given, 5 + given]) / (5 + given))


@pytest.mark.parametrize("rule", ["exp3", "paper"])
@pytest.mark.parametrize("share", [0.0, 0.01])
def test_a_hundred_thousand_rounds_stay_sound(rule, share):
    weights = np.zeros(3)
    for number in range(100_000 if share == 0 else 20_000):
        weights = updated(weights, 0 if number % 10 else number // 10 % 3, 1.0, 0.3, rule)
        weights = shared(weights, share) if share else weights
    chances = mixed(weights, 0.3)
    assert np.isfinite(chances).all()
    assert chances.sum() == pytest.approx(1)
    assert (chances >= 0.1 - 1e-12).all()
    assert chances.argmax() == 0


@pytest.mark.parametrize("kind", [Exp3, Exp3S, Ucb])
def test_a_long_life_of_rewards_all_alike_is_sound(kind):
    teacher = ready(kind, alpha=0.3, reward="level", eval_mix=0.0)
    rounds(teacher, 2000, lambda *_: 1.0, student=Silent())
    chances = teacher.probabilities()
    assert chances.sum() == pytest.approx(1)
    assert (chances >= 0.1 - 1e-12).all()
    assert min(teacher.counts) > 100


def test_one_context_is_plain_exp3():
    settings = {"alpha": 0.3, "first_arm": "drawn", "every": 2}
    plain, single = ready(Exp3, seed=7, **settings), ready(Exp3Context, seed=7, num_contexts=1, **settings)

    def score(task, number):
        return {"n1": 0.2, "n2": 0.9, "n4": 0.5}[task]

    assert rounds(plain, 120, score, student=Silent()) == rounds(single, 120, score, student=Silent())
    assert_allclose(plain.probabilities(), single.probabilities(), rtol=0, atol=0)


def test_contexts_have_bandits_of_their_own():
    teacher = ready(Exp3Context, num_contexts=3, seed=1, eval_mix=0.0, reward="level", credit_warm_up=False)
    good = {0: "n1", 1: "n2", 2: "n4"}
    for number in range(900):  # a policy stands for three rounds; which task pays, it says
        state = number // 3 % 3
        task = teacher.propose(1)[0]
        student = Student([np.eye(3)[((number + 1) // 3) % 3] * 10])
        teacher.feedback([episode(task, float(task == good[state]))], [], student)
    chances = mixed(teacher.log_weights, teacher.settings.alpha)
    assert sorted(chances.argmax(axis=1).tolist()) == [0, 1, 2]
    assert (chances.max(axis=1) > 0.7).all()


def test_until_there_are_contexts_enough_tasks_are_uniform_and_clusters_take_turns():
    teacher = ready(Exp3Context, num_contexts=3, seed=3)
    actives, asked = [], []
    for number in range(5):
        actives.append(teacher.active)
        asked.append({*teacher.propose(64)})
        teacher.feedback([episode("n1", 1.0)] * 64, [episode("x", 1.0)], Student([np.eye(3)[number % 3]]))
    assert actives == [0, 1, 2, 0, 1]
    assert all(names == {"n1", "n2", "n4"} for names in asked)
    assert (teacher.log_weights.min(axis=1) < 0).all()  # each was credited while it was active


@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, r"Silent does not sum up.*curriculum=exp3"), ({"reward": "td_progress"}, r"td_error.*reward=own_progress")],
)
def test_an_agent_that_cannot_say_is_refused_by_name(settings, said):
    teacher = ready(Exp3Context, **settings)
    names = teacher.propose(1)
    with pytest.raises(UserError, match=said):
        teacher.feedback([episode(names[0])], [episode("x")], Silent())


def test_an_odd_context_is_left_out_and_one_of_another_length_refused(caplog):
    teacher = ready(Exp3Context, eval_mix=0.0)
    for context, count in ((np.ones(4), 1), (np.full(4, np.nan), 1), (np.zeros(4), 2)):
        teacher.feedback([episode(teacher.propose(1)[0])], [], Student([context]))
        assert len(teacher.seen) == count
    assert "not finite" in caplog.text
    names = teacher.propose(1)
    with pytest.raises(UserError, match="4 and 5 numbers"):
        teacher.feedback([episode(names[0])], [], Student([np.ones(5)]))


def test_gain_is_the_change_at_the_target():
    teacher = ready(Exp3, reward="gain", window=2, target_episodes=1)
    paid = []
    for target in (0.2, 0.4, 0.6, 0.6):
        teacher.propose(1)
        teacher.feedback([episode(teacher.names[teacher.standing])], [episode("x", target)], Silent())
        paid.append(teacher.paid)
    assert paid[0] is None
    assert paid[1:] == pytest.approx([(1 + gain) / 2 for gain in (0.2, 0.3, 0.1)])


def test_td_progress_is_relative_to_the_largest():
    teacher = ready(Exp3, reward="td_progress")
    paid = []
    for error in (2.0, 1.0, 4.0):
        name = teacher.propose(1)[0]
        teacher.feedback([episode(name)], [], Mistaken(errors={name: error}))
        paid.append(teacher.paid)
    assert paid == [1.0, 0.5, 1.0]


def test_the_target_is_asked_for_only_when_a_choice_ends():
    teacher = ready(Exp3, every=3, target_episodes=5)
    asked = []
    for _ in range(6):
        names = teacher.propose(1)
        asked.append(teacher.target_episodes)
        teacher.feedback([episode(names[0])], [episode("x")] * asked[-1], Silent())
    assert asked == [0, 0, 5, 0, 0, 5]


def test_ucb_by_hand():
    teacher = ready(Ucb, alpha=1e-9, discount=1.0, bonus=0.5, reward="level", eval_mix=0.0)
    pays = {"n1": 0.1, "n2": 0.9, "n4": 0.4}
    assert [one[0] for one in rounds(teacher, 3, lambda task, _: pays[task])] == ["n1", "n2", "n4"]
    assert_allclose(teacher.bounds(), np.array([0.1, 0.9, 0.4]) + 2 * math.sqrt(0.5 * math.log(3)))
    assert teacher.preference().argmax() == 1
