"""State in, action out: by text or by choosing, with thoughts, with what was said before, with solved episodes."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from agentlab_runner.agents.direct import prompts
from agentlab_runner.agents.direct.agent import DirectAgent
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import Frame
from agentlab_runner.runners.online.rollout import Start, play
from agentlab_runner.runners.run.episodes import load_episodes, save_episodes
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory
from tests.agents.direct.doors import Codes, Door, Mute, Scripted


def agent(say, parser=True, sees=False, **settings):
    return DirectAgent(Scripted(say, sees), Codes() if parser is True else parser, **settings)


def episodes(own, seeds=(1,), deterministic=False, envs=2, **env):
    starts = [Start(number, seed, {}) for number, seed in enumerate(seeds)]
    played = dict(play(own, [Door(**env) for _ in range(envs)], starts, deterministic=deterministic))
    return [played[number] for number in range(len(seeds))]


def seed_of(talk):
    """The code of the door that a conversation ends with."""
    shown = next(turn.text for turn in reversed(talk) if "Door " in turn.text)
    return int(shown.split("Door ")[1].split(",")[0]) % 10


def test_a_door_is_opened_by_text():
    own = agent(lambda talk, choices: f"open {seed_of(talk)}")
    played = episodes(own, (1, 2, 3))
    assert [one.success for one in played] == [True] * 3
    (first, *_) = own.model.asked
    assert [turn.role for turn in first] == ["system", "user"]
    assert Codes.api in first[0].text
    assert first[0].text.endswith(prompts.PLAIN)
    assert first[1].text == "<observation>\nDoor 1, try 0.\n</observation>"
    (call,) = played[0].steps[0].decision.extras["calls"]
    assert (call["module"], call["reply"], call["model"], call["cost"]) == ("act", "open 1", "scripted-1", 0.25)
    assert {option["max_tokens"] for option in own.model.options} == {96}


def test_samples_of_equal_requests_are_told_apart_and_modes_are_not():
    """In another episode or later in the same one, which would else be caught where it was before."""
    own = agent(lambda talk, choices: "open 0", history=0)
    episodes(own, (5, 5))
    assert len({option["draw"] for option in own.model.options}) == 4
    episodes(own, (5, 5), deterministic=True)
    assert {option["draw"] for option in own.model.options[4:]} == {0}
    assert {option["deterministic"] for option in own.model.options[4:]} == {True}


@pytest.mark.parametrize("listed", [False, True])
def test_a_thought_comes_before_the_action_and_stays_in_the_history(listed):
    def say(talk, choices):
        if choices is not None:
            return "open 3"
        return "It is locked." if listed else "Thought: It is locked.\nAction: open 3"

    own = agent(say, parser=None if listed else True, style="react")
    (one,) = episodes(own, (1,), listed=listed)
    assert [step.decision.action for step in one.steps] == [3, 3] if listed else ["open 3", "open 3"]
    modules = [call["module"] for call in one.steps[0].decision.extras["calls"]]
    assert modules == (["think", "act"] if listed else ["act"])
    second = own.model.asked[len(modules)]
    assert [turn.role for turn in second] == ["system", "user", "assistant", "user"]
    assert "It is locked." in second[2].text
    assert second[2].text.endswith("open 3")
    assert (prompts.REACT in second[0].text) is not listed


def test_one_of_the_listed_actions_is_chosen():
    own = agent(lambda talk, choices: choices[seed_of(talk)], parser=None)
    played = episodes(own, (2, 3), listed=True)
    assert [one.steps[0].decision.action for one in played] == [2, 3]
    asked = own.model.asked[0][-1].text
    assert asked.endswith("\n".join((prompts.CHOOSE, "<actions>", *Codes.labels, "</actions>")))
    assert Codes.api not in own.model.asked[0][0].text
    with_parser = agent(lambda talk, choices: choices[0])
    episodes(with_parser, (2,), listed=True)
    assert Codes.api not in with_parser.model.asked[0][0].text, "where actions are listed nobody writes"


def test_a_choice_that_is_none_ends_the_episode():
    (one,) = episodes(agent(lambda talk, choices: "open 9", parser=None), (2,), listed=True)
    assert (one.stop, one.reason) == (StopReason.GAVE_UP, "the answer holds no action")


def test_asked_again_once_and_then_no_more():
    said = iter(["hm", "open 1"])
    own = agent(lambda talk, choices: next(said))
    (one,) = episodes(own, (1,))
    assert one.success
    assert len(one.steps[0].decision.extras["calls"]) == 2
    assert own.model.asked[1][-2] == prompts.said("hm")
    assert own.model.asked[1][-1].text.startswith(prompts.AGAIN)
    assert Codes.api in own.model.asked[1][-1].text
    own = agent(lambda talk, choices: "")
    episodes(own, (1,))
    assert own.model.asked[1][-2].text == prompts.SILENT
    for answer, finish, tokens, reason in (
        ("Open the door", "stop", 2, "the answer holds no action"),
        ("I cannot", "refusal", 2, "the model refused"),
        ("Well, let", "length", 2, "the answer is cut before an action"),
        ("", "length", 0, "the prompt is longer than the model reads"),
        ("  ", "stop", 1, "the answer is empty"),
    ):
        own = agent(lambda talk, choices, answer=answer: answer)
        own.model.finish, own.model.tokens = finish, tokens
        (one,) = episodes(own, (1,))
        assert (one.stop, one.reason, one.success) == (StopReason.GAVE_UP, reason, False)
        assert len(own.model.asked) == 2
        assert len(one.steps[0].decision.extras["calls"]) == 2, "what it cost is kept"


def test_others_go_on_when_one_is_asked_again():
    own = agent(lambda talk, choices: "hm" if seed_of(talk) == 2 else f"open {seed_of(talk)}")
    played = episodes(own, (1, 2, 3), envs=3)
    assert [one.stop.value for one in played] == ["success", "gave_up", "success"]


@pytest.mark.parametrize(("history", "turns"), [(0, 2), (1, 4), (4, 4)])
def test_so_much_of_the_episode_stands_in_the_prompt(history, turns):
    own = agent(lambda talk, choices: "open 3", history=history)
    episodes(own, (1,))
    assert [len(talk) for talk in own.model.asked] == [2, turns]


def test_nothing_of_one_episode_reaches_another():
    own = agent(lambda talk, choices: "open 9" if seed_of(talk) == 9 else "open 0")
    episodes(own, (1, 2, 3, 4), envs=2)
    for talk in own.model.asked:
        assert len({turn.text.split("Door ")[1].split(",")[0] for turn in talk if "Door " in turn.text}) == 1


class TestPictures:
    seen = {"text": "a screen", "image": np.zeros((4, 4, 3), np.uint8)}  # noqa: RUF012

    def decide(self, own, *observations):
        own.begin(range(len(observations)))
        return own.act(observations, True)

    def test_a_model_with_eyes_sees_the_present_one_alone(self):
        own = agent(lambda talk, choices: "open 0", sees=True)
        self.decide(own, self.seen)
        own.act([self.seen], True)
        kinds = [[type(part) for part in turn.parts] for turn in own.model.asked[1]]
        assert kinds == [[str], [str], [str], [Frame, str]]
        self.decide(agent(lambda talk, choices: "open 0", sees=True), {"image": self.seen["image"]})

    def test_what_is_left_out_is_said_once(self, caplog):
        own = agent(lambda talk, choices: "open 0")
        with caplog.at_level(logging.WARNING):
            self.decide(own, self.seen, self.seen)
            own.act([self.seen, self.seen], True)
        assert [record.message for record in caplog.records] == [
            "scripted reads text alone and is not shown the pictures"
        ]

    def test_nothing_to_read(self):
        with pytest.raises(UserError, match="choose one with `text` in its observations, or a model with eyes"):
            self.decide(agent(lambda talk, choices: "open 0"), {"image": self.seen["image"]})
        with pytest.raises(UserError, match=r"choose one with `text` in its observations$"):
            self.decide(agent(lambda talk, choices: "open 0", sees=True), {"text": ""})


def test_neither_a_language_nor_a_list():
    with pytest.raises(UserError, match="Mute does not tell its action language; give it an `api`"):
        episodes(agent(lambda talk, choices: "open 0", parser=Mute()))
    (one,) = episodes(agent(lambda talk, choices: "open 1", parser=Mute()), (1,), listed=True)
    assert one.success, "where actions are listed nobody writes"
    with pytest.raises(UserError, match="lists no `actions` and the environment has no parser"):
        episodes(agent(lambda talk, choices: "open 0", parser=None))


def test_a_model_that_moves_is_moved_even_where_its_calls_are_kept(tmp_path):
    class Moving(Scripted):
        record = str(tmp_path / "tape")
        device = "cpu"

        def to(self, device):
            self.device = device
            return self

    class On:
        device = "meta"

    model = Moving(lambda talk, choices: "open 0")
    own = DirectAgent(model, Codes())
    own.setup(On())
    assert model.device == "meta"
    own.model.close()


# -- solved episodes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def solved(tmp_path):
    """A folder of three episodes, two of them solved, with thoughts."""
    thought = "Thought: </observation> so.\nAction: open"
    own = agent(lambda talk, choices: f"{thought} {min(seed_of(talk), 2)}", style="react")
    save_episodes(tmp_path / "mine", episodes(own, (1, 3, 2)))
    return tmp_path / "mine"


def test_solved_episodes_stand_first(solved):
    own = agent(lambda talk, choices: "open 3", exemplars=str(solved), exemplar_count=2)
    episodes(own, (3,))
    rules, *turns = own.model.asked[0]
    assert prompts.EXAMPLES in rules.text
    assert [turn.text.split("\n")[-1] for turn in turns if turn.role == "assistant"] == ["open 1", "open 2"]
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    assert "Door 2, try 0." in turns[2].text
    heads = [turn.text.split("\n")[0] for turn in turns if turn.role == "user"]
    assert heads == [prompts.SOLVED, prompts.SOLVED, prompts.OWN]
    episodes(own, (4,))
    assert own.model.asked[-1][5].text.startswith(prompts.OWN), "the oldest turn that is shown"
    assert [turn.text.count(prompts.OWN) for turn in own.model.asked[-1]].count(1) == 1
    thinking = agent(lambda talk, choices: "Action: open 3", exemplars=str(solved), style="react")
    episodes(thinking, (3,))
    assert thinking.model.asked[0][2].text == "Thought: </observation> so.\nAction: open 1"


def test_a_run_s_own_successes(solved, tmp_path):
    run = tmp_path / "run"
    (run / "episodes").mkdir(parents=True)
    (run / "manifest.json").write_text("{}")
    for place, seeds in (("iteration_2", (1,)), ("iteration_10", (2,))):
        own = agent(lambda talk, choices: f"open {seed_of(talk)}")
        save_episodes(run / "episodes" / place, episodes(own, seeds))
    own = agent(lambda talk, choices: "open 0", exemplars=str(run))
    episodes(own, (0,))
    assert own.model.asked[0][2].text == "open 2", "the latest set first"


def test_too_few_of_them(solved, tmp_path):
    with pytest.raises(UserError, match=r"holds 2 successful recorded episodes and agent\.exemplar_count asks for 3"):
        agent(lambda talk, choices: "", exemplars=str(solved), exemplar_count=3)
    with pytest.raises(UserError, match=r"there is no folder .*; give a run or a folder of recorded episodes"):
        agent(lambda talk, choices: "", exemplars=str(tmp_path / "nowhere"))


def test_episodes_of_another_agent_are_told_by_their_actions(tmp_path):
    own = agent(lambda talk, choices: choices[seed_of(talk)], parser=None)
    played = episodes(own, (2,), listed=True)
    silent = [replace(step, decision=Decision(step.decision.action)) for step in played[0].steps]
    save_episodes(tmp_path / "theirs", [replace(played[0], steps=tuple(silent))])
    own = agent(lambda talk, choices: "open 0", exemplars=str(tmp_path / "theirs"))
    episodes(own, (0,))
    assert own.model.asked[0][2].text == "open 2"


def test_episodes_of_another_environment_are_no_examples(solved, tmp_path):
    (one,) = episodes(agent(lambda talk, choices: f"open {seed_of(talk)}"), (2,))
    others = [replace(step, decision=Decision('{"action": "+"}')) for step in one.steps]
    save_episodes(tmp_path / "theirs", [replace(one, steps=tuple(others), task="numberline")])
    with pytest.raises(UserError, match=r"none of the actions in .*theirs \(tasks: numberline\), such as .*\+.*; give"):
        agent(lambda talk, choices: "", exemplars=str(tmp_path / "theirs"))


def test_who_is_shown_the_solution_of_a_start_is_told_so(solved, caplog):
    own = agent(lambda talk, choices: "open 3", exemplars=str(solved), exemplar_count=2)
    with caplog.at_level(logging.WARNING):
        episodes(own, (3, 4))
    assert not caplog.text
    with caplog.at_level(logging.WARNING):
        episodes(own, (1, 2))
    assert caplog.text.count("agent.exemplars from a run with another eval.seed") == 1


def test_what_a_model_thinks_in_marks_is_neither_its_action_nor_its_history(caplog):
    thought = "<think>open 0, or</think>\n\n"
    own = agent(lambda talk, choices: f"{thought}open {seed_of(talk)}")
    (one,) = episodes(own, (1,))
    assert one.success
    own = agent(lambda talk, choices: f"{thought}open 3")
    (one,) = episodes(own, (1,))
    assert own.model.asked[1][2].text == "open 3"
    assert one.steps[0].decision.extras["calls"][0]["reply"] == f"{thought}open 3", "the transcript has all of it"
    own = agent(lambda talk, choices: "<think>I might open 1")
    own.model.finish = "length"
    with caplog.at_level(logging.WARNING):
        (one,) = episodes(own, (1,))
    assert (one.stop, one.reason) == (StopReason.GAVE_UP, "the answer is cut before an action")
    assert caplog.text.count("one that thinks needs a higher agent.max_tokens") == 1


def test_half_a_character_of_an_environment_is_played_and_recorded(tmp_path):
    """A page or a file name may hold one; no file, server or tokenizer takes it."""
    seen = {"text": "so \ud83d", "actions": ("open \ud83d", "look"), "action_ids": (7, 8)}
    model = Scripted(lambda talk, own: own[0])
    agent = DirectAgent(model)
    agent.begin([0])
    (decision,) = agent.act([seen], True)
    assert decision.action == 7
    model.asked[0][-1].text.encode()
    step = Step(seen, decision, 0.0, {})
    save_episodes(tmp_path, [Trajectory((step,), seen, StopReason.FAILURE, False, 0, "page")])
    (episode,) = load_episodes(tmp_path)
    assert episode.steps[0].observation["text"] == "so \ud83d"
