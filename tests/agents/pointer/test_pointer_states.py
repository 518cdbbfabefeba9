"""What is read of an observation."""

import subprocess
import sys

import numpy as np
import pytest

from agentlab_runner.agents.pointer.states import MEETINGS, MOST_GOAL, State, state_of
from agentlab_runner.runners.errors import UserError

GOAL = 'Enter the username "al" and the password "bo" and press login.'
LOGIN = {
    "goal": GOAL,
    "text": f'Task: {GOAL}\nI have: click the button "Login".\nI',
    "actions": ('type "al" into the field "Username"', 'type "bo" into the field "Username"',
                'type "al" into the field "Password"', 'type "bo" into the field "Password"',
                'click the button "Login"', 'click the link "Help"'),
    "action_ids": tuple("abcdef"),
}  # fmt: skip


def columns(observation):
    return state_of(observation).meetings.T


def test_words_of_a_phrase_meet_those_of_the_goal():
    own, other, whole, rare, first, last, before, after, done, times, newest = columns(LOGIN)
    assert own.tolist() == [1, 1, 1, 1, 1, 0]
    assert whole.tolist() == [1, 1, 1, 1, 1, 0]
    assert rare[0] > rare[5]
    assert first[0] < first[1] < first[4]
    assert (first + last)[:5] == pytest.approx(np.ones(5))
    assert before.argmax() == 0  # "username" stands right before "al"
    assert before[3] > max(before[1], before[2])  # and "password" before "bo"
    assert after[2] > 0
    assert (done.tolist(), times.tolist()) == ([0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0.25, 0])
    assert newest.tolist() == done.tolist()
    assert 0 < other[0] < 1


def test_what_was_done_last_is_told_from_what_was_done_before():
    text = LOGIN["text"].replace("\nI", '; type "al" into the field "Username"; click the button "Login".\nI')
    again = {**LOGIN, "text": text}
    done = columns(again)
    assert done[8].tolist() == [1, 0, 0, 0, 1, 0]
    assert done[9].tolist() == [0.25, 0, 0, 0, 0.5, 0]
    assert done[10].tolist() == [0, 0, 0, 0, 1, 0]


def test_a_negative_number_is_one_word_and_a_hyphen_is_not():
    plain = {"text": "x", "actions": ["go"], "action_ids": [0]}
    count = {said: len(state_of({**plain, "goal": said}).goal) for said in ("(-1,2)", "a-1b", "2.5", "3rd", "so-so")}
    assert count == {"(-1,2)": 5, "a-1b": 3, "2.5": 1, "3rd": 1, "so-so": 3}


def test_without_a_goal_the_text_is_read_and_nothing_is_done():
    state = state_of({"text": "I carry a bowl", "actions": ["put the bowl down", "wait"], "action_ids": [4, 7]})
    assert len(state.goal) == 4
    assert state.features.shape == (2, 0)
    assert not state.meetings[:, 8:].any()
    assert state.meetings.shape == (2, MEETINGS)


def test_long_goals_and_phrases_are_cut():
    state = state_of({"text": "word " * 500, "actions": ["word " * 99], "action_ids": [0]})
    assert (len(state.goal), state.words.shape) == (MOST_GOAL, (1, 16))


def test_a_phrase_without_words_is_read():
    assert len(state_of({"text": "", "actions": ["  "], "action_ids": [0]})) == 1


def test_a_word_has_the_same_number_in_every_process():
    script = "from agentlab_runner.agents.pointer.states import _number; print(_number('ünï'))"
    said = {subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
            for _ in range(2)}  # fmt: skip
    assert len(said) == 1
    assert int(said.pop()) > 0


def test_a_state_comes_back_from_a_checkpoint():
    state = state_of({**LOGIN, "features": np.ones((6, 3), np.float32)})
    again = State.of(state.tensors())
    assert again.key() == state.key()
    assert again.key() != state_of(LOGIN).key()


def test_an_observation_without_phrases_is_refused():
    with pytest.raises(UserError, match="chooses among phrases, and the observation lists none"):
        state_of({"text": "x"})
    with pytest.raises(UserError, match="lists no phrase"):
        state_of({"text": "x", "actions": (), "action_ids": ()})
