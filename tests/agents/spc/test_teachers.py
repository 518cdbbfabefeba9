"""What holds of every teacher: sound probabilities, a whole state, patience with odd scores, clear refusals."""

import copy
import io
import math

import numpy as np
import pytest
import torch

from agentlab_runner.agents.spc.exp3 import Exp3, Exp3S
from agentlab_runner.agents.spc.exp3_context import Exp3Context
from agentlab_runner.agents.spc.mastery import Mastery
from agentlab_runner.agents.spc.progress import AlpGmm
from agentlab_runner.agents.spc.spmarl import Spmarl
from agentlab_runner.agents.spc.staged import Epc, Schedule, Uniform
from agentlab_runner.agents.spc.ucb import Ucb
from agentlab_runner.agents.spc.vacl import Vacl
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.config.listing import choices
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import StopReason
from tests.agents.spc.students import TASKS, Silent, episode, ready, rounds, wandering

TEACHERS = {
    "uniform": (Uniform, {}),
    "schedule": (Schedule, {"total": 60}),
    "epc": (Epc, {"total": 60}),
    "exp3": (Exp3, {"every": 2}),
    "exp3_gain": (Exp3, {"reward": "gain"}),
    "exp3_context": (Exp3Context, {}),
    "exp3s": (Exp3S, {"reward": "own_progress"}),
    "ucb": (Ucb, {"reward": "own_progress"}),
    "alp_gmm": (AlpGmm, {"window": 8, "bootstrap": 40, "fit_every": 20, "buffer": 40, "max_components": 3}),
    "alp": (AlpGmm, {"window": 8, "bootstrap": 40, "fit_every": 20, "mixture": False, "draw": "iteration", "every": 3}),
    "vacl": (Vacl, {"initial": 20, "buffer": 30, "reproduction": 10}),
    "vacl_iteration": (Vacl, {"initial": 20, "buffer": 30, "reproduction": 10, "draw": "iteration", "every": 2}),
    "spmarl": (Spmarl, {"pull_from": 5}),
    "mastery": (Mastery, {"window": 4}),
    "mastery_learnt": (Mastery, {"order": "learnt", "draw": "episode", "test": "absolute"}),
}
each = pytest.mark.parametrize("name", TEACHERS)


def made(name, seed=0):
    kind, settings = TEACHERS[name]
    return ready(kind, seed=seed, **settings)


def score(task, number):
    """Climbs, fastest for the easiest, and wavers."""
    return min(1.0, number / (20 * TASKS[task]["n"])) * (0.9 + 0.1 * math.sin(number))


def through_a_file(state):
    """As a checkpoint keeps it: nothing in it is run when it is read."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_every_choice_of_the_config_is_tried_here():
    tried = {name.partition("_")[0] if name.startswith(("vacl", "mastery")) else name for name in TEACHERS}
    assert set(choices("curriculum")) - {"none"} <= tried


@each
def test_probabilities_are_sound_and_logged(name):
    teacher = made(name)
    floor = getattr(teacher.settings, "alpha", 0.0) / 3
    for number in range(40):
        names = teacher.propose(4)
        seen = [episode("x")] * teacher.target_episodes
        found = teacher.feedback([episode(one, score(one, number)) for one in names], seen, wandering(number))
        chances = teacher.probabilities()
        assert chances.sum() == pytest.approx(1)
        assert (chances >= floor - 1e-12).all()
        assert sum(found[f"curriculum/prob/{task}"] for task in TASKS) == pytest.approx(1)
    assert sum(found[f"curriculum/played/{task}"] for task in TASKS) == 160


@each
@pytest.mark.parametrize("stopped", [3, 31])
def test_stopped_and_resumed_it_proposes_the_same(name, stopped):
    whole = made(name)
    rounds(whole, stopped, score, episodes=3)
    again = made(name, seed=99)
    again.load_state_dict(through_a_file(whole.state_dict()))
    assert rounds(whole, 25, score, episodes=3) == rounds(again, 25, score, episodes=3)
    assert whole.probabilities().tolist() == again.probabilities().tolist()


@each
def test_an_iteration_that_is_lost_is_proposed_again(name):
    teacher = made(name)
    rounds(teacher, 7, score)
    before = copy.deepcopy(teacher.state_dict())
    asked = teacher.propose(5)
    again = made(name, seed=99)
    again.load_state_dict(teacher.state_dict())
    assert again.propose(5) == asked
    assert repr(teacher.state_dict()) == repr(before)


@each
def test_its_state_is_not_its_own_memory(name):
    teacher = made(name)
    rounds(teacher, 5, score)
    state = teacher.state_dict()
    kept = repr(state)
    rounds(teacher, 5, score)
    assert repr(state) == kept


@each
def test_a_score_that_is_no_number_is_skipped_and_told(name, caplog):
    teacher = made(name)
    rounds(teacher, 12, lambda task, number: math.nan if number % 3 == 0 else score(task, number))
    assert teacher.skipped == 4
    assert np.isfinite(teacher.probabilities()).all()
    assert "no finite skill" in caplog.text


@each
def test_seeds_decide(name):
    """But for the teachers that leave nothing to chance here."""
    if name in ("schedule", "epc", "exp3", "exp3_gain", "ucb"):
        return
    first, same, other = (rounds(made(name, seed), 30, score, episodes=4) for seed in (1, 1, 2))
    assert first == same != other


def test_global_chance_is_nobodys():
    before = np.random.get_state()[1].tolist()
    for name in TEACHERS:
        rounds(made(name), 45, score, episodes=2)
    assert np.random.get_state()[1].tolist() == before


def test_a_choice_stands_for_as_long_as_it_should():
    asked = [names[0] for names in rounds(ready(Uniform, draw="iteration", every=5), 200, score)]
    blocks = [asked[start : start + 5] for start in range(0, 200, 5)]
    assert all(len(set(block)) == 1 for block in blocks)
    assert len({block[0] for block in blocks}) == 3


def test_episodes_that_do_not_count_say_nothing():
    teacher = ready(Uniform)
    teacher.propose(2)
    lost = episode("n1", 0.0, stop=StopReason.DEVICE_LOST)
    found = teacher.feedback([lost, episode("n1", 0.5)], [], Silent())
    assert found["curriculum/score/n1"] == 0.5
    assert "curriculum/score/n2" not in found


def test_returns_are_told_as_they_were_given():
    teacher = ready(Uniform, score="return", min_score=-10.0, max_score=10.0)
    teacher.propose(1)
    found = teacher.feedback([episode("n2", -1.5, steps=2)], [], Silent())
    assert found["curriculum/score/n2"] == pytest.approx(-3.0)
    assert teacher.env_steps == teacher.agent_steps == 2


@pytest.mark.parametrize(
    ("asked", "said"), [("skull", "'skull', but of its episodes the environment measures skill")]
)
def test_a_measure_that_nobody_takes_is_named(asked, said):
    teacher = ready(Uniform, score=asked)
    teacher.propose(1)
    with pytest.raises(UserError, match=said):
        teacher.feedback([episode("n1")], [], Silent())


def test_no_tasks_and_other_tasks_are_refused():
    with pytest.raises(UserError, match="curriculum=none"):
        Uniform().setup({}, 0)
    teacher = ready(Uniform)
    other = ready(Uniform, tasks={"hill": {}, "valley": {}})
    with pytest.raises(UserError, match="hill, valley"):
        other.load_state_dict(teacher.state_dict())
    teacher.propose(1)
    with pytest.raises(UserError, match="began 'hill'"):
        teacher.feedback([episode("hill")], [], Silent())


def test_a_group_is_one_proposal():
    teacher = ready(Vacl, initial=20, buffer=30, active_above=0.1, solved_above=0.5)
    names = teacher.propose(2)
    teacher.asked_points = [4, 9]
    fourth = teacher.active[4].tolist()
    played = [episode(name, score) for name, score in zip(names, (1.0, 0.0), strict=True) for _ in range(3)]
    teacher.feedback(played, [], Silent())
    assert teacher.solved.tolist() == [fourth]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("curriculum=exp4", "curriculum has no choice 'exp4'|did you mean"),
        ("curriculum=exp3 curriculum.alpha=0", r"curriculum.alpha is 0.*above 0 and at most 1"),
        ("curriculum=exp3 curriculum.alpha=1.5", r"curriculum.alpha is 1.5.*at most 1"),
        ("curriculum=exp3 curriculum.min_score=1", "min_score 1 is not below max_score 1"),
        ("curriculum=exp3 curriculum.score=return", "score=return has no range.*min_score=LOW"),
        ("curriculum=exp3 curriculum.draw=episode", "curriculum.draw"),
        ("curriculum=uniform curriculum.every=0", "curriculum.every is 0"),
        ("curriculum=alp_gmm curriculum.window=7", "curriculum.window is 7"),
        ("curriculum=vacl curriculum.active_above=0.99", "active_above 0.99 is not below"),
        ("curriculum=mastery curriculum.tets=absolute", "did you mean 'curriculum.test'"),
        ("curriculum=schedule curriculum.plan=[]", "curriculum.plan"),
        ("curriculum=schedule curriculum.plan=[{until:0.5,shares:{a:0}}]", "plays nothing"),
    ],
)
def test_what_a_config_may_not_say(override, said):
    with pytest.raises(UserError, match=said) as refused:
        compose(override.split())
    assert "\n" not in str(refused.value)
