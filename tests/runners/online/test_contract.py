"""What an environment or agent of one's own does wrong is named: its class, what it gave, what was expected."""

import re
from typing import Any

import numpy as np
import pytest
import torch

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import Frame
from agentlab_runner.runners.online.contract import reported
from agentlab_runner.runners.online.rollout import collect
from agentlab_runner.runners.types import Decision, Histogram, Series, Table
from tests.runners.online.test_rollout import Countdown, Scripted

SEEN, TOLD = {"text": "3"}, {"task": "goal3", "goal": "count"}
IMAGE = np.zeros((4, 4, 3), np.uint8)


class Says(Countdown):
    """Gives what it is told to give."""

    def __init__(self, reset: Any = (SEEN, TOLD), step: Any = (SEEN, 1.0, True, False, {"success": True})):
        super().__init__()
        self.answers = reset, step

    def reset(self, *, seed=None, options=None):
        return self.answers[0]

    def step(self, action):
        return self.answers[1]


class Answers(Scripted):
    def __init__(self, answer: Any):
        super().__init__(3)
        self.answer = answer

    def act(self, observations, deterministic):
        return self.answer


def step(**changes: Any) -> dict[str, Any]:
    parts = {"observation": SEEN, "reward": 1.0, "terminated": True, "truncated": False, "info": {"success": True}}
    return {"step": tuple((parts | changes).values())}


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"reset": SEEN}, "Says.reset gave a dict, but must give (observation, info)"),  # as gym did until 2022
        ({"reset": {"text": "3", "image": IMAGE}}, "Says.reset gave a dict, but must give"),  # two keys unpack
        ({"reset": ("3", TOLD)}, "Says.reset gave a str as observation, but an observation is a dict"),
        ({"reset": (SEEN, None)}, "Says.reset gave None as info, but info is a dict"),
        ({"reset": ({"image": IMAGE / 255}, TOLD)}, "Says.reset shows an image of float64 [4, 4, 3], but an image is"),
        ({"reset": ({"image": IMAGE[..., 0]}, TOLD)}, "an image of uint8 [4, 4], but an image is uint8 [height, width"),
        ({"step": (SEEN, 1.0, True, {})}, "Says.step gave 4 values, but must give (observation, reward, terminated"),
        (step(reward=float("nan")), "Says.step gave the reward nan, but a reward is one finite number"),
        (step(reward=np.float32("inf")), "the reward np.float32(inf), but a reward is one finite number"),
        (step(reward=None), "the reward None, but a reward is one finite number"),
        (step(reward="1"), "the reward '1', but a reward is one finite number"),
        (step(reward=np.array([1.0, 0.0])), "the reward array([1., 0.]), but a reward is one finite number"),
        (step(info=None), "Says.step gave None as info"),
        (step(info={}), "Says.step ended an episode, but its info does not say 'success'; add it"),
        (step(info={"success": False, "stop": "bored"}), "says stop='bored', but must say one of success,"),
        (step(info={"success": True, "stop": "timeout"}), "stop='timeout' and success=True, which cannot"),
        (step(info={"success": False, "stop": "success"}), "says stop='success' and success=False"),
        (step(info={"success": True, "scores": [1]}), "says scores=[1], but scores are numbers by name"),
        (step(info={"success": True, "scores": {"speed": "fast"}}), "says 'speed': 'fast' in its scores, but they are"),
        (step(info={"success": True, "measures": {"f1": float("nan")}}), "says 'f1': nan in its measures, but"),
        (step(info={"success": True, "episode_return": float("inf")}), "says episode_return=inf, but it is one finite"),
        ({"reset": (SEEN, {"measures": {1: 1.0}})}, "Says.reset says 1: 1.0 in its measures"),
    ],
)
def test_an_environment_that_breaks_its_promise_is_named(answers, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as fault:
        collect(Scripted(3), [Says(**answers)], [3])
    assert f"{__name__}.Says" in str(fault.value)


def test_what_numpy_and_torch_give_is_taken():
    numbers = step(reward=np.float32(0.5), terminated=np.bool_(True), info={"success": np.bool_(True)})
    (played,) = collect(Scripted(3), [Says(**numbers)], [3])
    assert (played.steps[0].reward, played.success) == (0.5, True)
    assert type(played.steps[0].reward) is float
    (played,) = collect(Scripted(3), [Says(**step(reward=torch.tensor(2.0)))], [3])
    assert played.total_reward == 2.0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([], "Answers.act gave 0 decisions for 1 observations; give one for each, in their order"),
        ([Decision(3), Decision(3)], "Answers.act gave 2 decisions for 1 observations"),
        (["3"], "Answers.act gave a str where a Decision belongs"),
        (Decision(3), "Answers.act gave a Decision, but must give a list of Decisions"),
        (None, "Answers.act gave None, but must give a list of Decisions"),
    ],
)
def test_an_agent_that_breaks_its_promise_is_named(answer, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        collect(Answers(answer), [Countdown()], [3])


CALL = {"module": "act", "messages": [{"role": "user", "parts": ["hi", {"frame": "a0"}, Frame.of(IMAGE)]}],
        "reply": "3", "tokens_in": 1, "tokens_out": 1, "seconds": 0.5, "cost": 0, "cached": False}  # fmt: skip


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        (Decision(3, give_up=""), "Answers.act gave up with ''; say why in words, or None"),
        (Decision(3, give_up=True), "Answers.act gave up with True"),
        (Decision(3, {"calls": CALL}), "gave a dict as extras['calls'], but they are a list of calls"),
        (Decision(3, {"calls": ["hi"]}), "gave a call that is none ('hi')"),
        (Decision(3, {"calls": [CALL | {"tokens_in": "9"}]}), "gave a call that is none (its tokens_in is '9')"),
        (Decision(3, {"calls": [CALL | {"cost": float("nan")}]}), "(its cost is nan)"),
        (Decision(3, {"calls": [CALL | {"messages": [{"role": "user", "parts": "hi"}]}]}), "gave a call that is none"),
        (Decision(3, {"calls": [CALL | {"messages": [{"role": "user", "parts": [IMAGE]}]}]}), "gave a call that is"),
        (Decision(3, {"record": {"at": object()}}), "gave extras['record'] that JSON cannot hold"),
        (Decision(3, {"record": float("nan")}), "gave extras['record'] that JSON cannot hold"),
        (Decision(3, {"record": "x" * 2**17}), "gave extras['record'] of 131074 characters; keep it below 65536"),
    ],
)
def test_what_a_decision_brings_is_checked(decision, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        collect(Answers([decision]), [Countdown()], [3])


def test_calls_as_they_are_to_be_are_taken():
    (played,) = collect(Answers([Decision(3, {"calls": [CALL], "record": {"plan": [1]}})]), [Countdown()], [3])
    assert played.steps[0].decision.extras["calls"] == [CALL]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"curve": Series((1.0, 2.0), {"loss": (1.0,)})}, "every line of a Series has as many values as its x"),
        ({"best": Table(("a", "b"), (("x",),))}, "every row of a Table has as many cells as it has columns"),
        (None, "Scripted.learn gave None, but must give a dict of metrics; {} for none"),
        ({"loss": "low"}, "Scripted.learn gave the metric 'loss': 'low', but a metric is a name with a number"),
        ({"loss": None}, "the metric 'loss': None"),
        ({"loss": torch.ones(3)}, "the metric 'loss': tensor([1., 1., 1.])"),
        ({"loss": {"policy": 1.0}}, "the metric 'loss': {'policy': 1.0}"),
        ({"loss": 10**400}, "the metric 'loss': 1000"),
        ({1: 1.0}, "the metric 1: 1.0"),
    ],
)
def test_a_metric_that_is_none_is_named(answer, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        reported(Scripted(3), "learn", answer)


def test_metrics_of_every_kind_are_taken():
    metrics = {"a": 1, "b": np.float32(1), "c": torch.tensor(1.0), "d": float("nan"), "e": Histogram((1,), (0.0, 1.0))}
    metrics |= {"f": Series((1.0,), {"y": (float("nan"),)}), "g": Table(("name",), (("x",), (None,)))}
    assert reported(Scripted(3), "learn", metrics) is metrics


def test_an_agent_that_reads_what_an_environment_does_not_give_is_told_in_one_sentence():
    class Reader(Scripted):
        def act(self, observations, deterministic):
            return [Decision(observation["text"]) for observation in observations]

    with pytest.raises(UserError) as told:
        collect(Reader(), [Says(reset=({"vector": 5}, TOLD))], [1])
    assert "Reader reads 'text' of an observation, but those of " in str(told.value)
    end = "Says hold 'vector'; add 'text' to the environment's observations, or choose another agent"
    assert str(told.value).endswith(end)

    class Broken(Scripted):
        def act(self, observations, deterministic):
            raise KeyError("sede")

    with pytest.raises(KeyError, match="sede"):
        collect(Broken(), [Says()], [1])
