"""The Gymnasium environment round a phone: what it shows, executes, rewards and survives."""

import warnings
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pydantic import ValidationError

import agentlab_runner.envs.android
from agentlab_runner.envs.android.actions import Action, ActionType, AitwParser, swipe, tap
from agentlab_runner.envs.android.device import DeviceLost, DeviceUnavailable, Key
from agentlab_runner.envs.android.evaluators import NotEvaluated, Programmatic
from agentlab_runner.envs.android.settings import AndroidSettings
from tests.envs.android.button_phone import ButtonPhone

PARSER = AitwParser()
GO, ELSEWHERE = PARSER.render(tap(0.1, 0.1)), PARSER.render(tap(0.9, 0.9))


class GoalsOnly(Programmatic):
    """Looks at the phone's state but takes any goal, as a judge does."""

    needs_template = False


@pytest.fixture
def goals(tmp_path):
    path = tmp_path / "goals.txt"
    path.write_text("press go\n\nopen the café page\npress it twice\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def make(goals):
    def build(device=None, **kwargs):
        kwargs = {"parser": PARSER, "evaluator": GoalsOnly(), "task_set": goals, **kwargs}
        return agentlab_runner.envs.android.make(device=device or ButtonPhone(), **kwargs)

    return build


def test_passes_gymnasiums_own_check(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(Text|render_modes|spec|shape).*")
        check_env(make(observation="both").unwrapped)


def test_is_registered():
    assert agentlab_runner.envs.android.ENV_ID in gymnasium.registry


def test_success_ends_with_reward_one(make):
    env = make()
    observation, info = env.reset(seed=1)
    assert info["task"] == "goals"
    assert observation["text"] == f"Previous Actions: Goal: {info['goal']}"
    observation, reward, terminated, truncated, info = env.step(ELSEWHERE)
    assert (reward, terminated, truncated, info["stop"]) == (0.0, False, False, None)
    assert observation["text"].startswith(f"Previous Actions: {PARSER.history(tap(0.9, 0.9))} Goal: ")
    observation, reward, terminated, truncated, info = env.step(GO)
    assert (reward, terminated, truncated, info["stop"]) == (1.0, True, False, "success")
    assert info["success"]
    assert info["parsed"] == GO
    assert tuple(observation["image"][10, 10]) == (0, 200, 0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(GO)


@pytest.mark.parametrize("kind", [ActionType.TaskComplete, ActionType.TaskImpossible])
def test_giving_up_or_claiming_success_terminates_as_failure(make, kind):
    env = make()
    env.reset(seed=0)
    *_, terminated, truncated, info = env.step(PARSER.render(Action(kind)))
    assert (terminated, truncated, info["stop"], info["success"]) == (True, False, "failure", False)


def test_horizon_truncates(make):
    env = make(horizon=3)
    env.reset(seed=0)
    ends = [env.step(ELSEWHERE)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]
    assert len(env.unwrapped.device.log) == 3


def test_released_horizon_does_not_execute_the_last_step(make):
    env = make(horizon=2, released_horizon=True)
    env.reset(seed=0)
    env.step(ELSEWHERE)
    _, reward, _, truncated, info = env.step(GO)
    assert (reward, truncated, info["stop"]) == (0.0, True, "horizon")
    assert len(env.unwrapped.device.log) == 1


@pytest.mark.parametrize(("action", "call", "mark"), [
    (tap(0.5, 0.5), ("tap", 54, 114), {"kind": "tap", "x": 0.5, "y": 0.5}),
    (tap(1.0, 1.0), ("tap", 107, 227), {"kind": "tap", "x": 1.0, "y": 1.0}),
    (swipe((0.5, 0.5), (0.505, 0.51)), ("tap", 54, 114), {"kind": "tap", "x": 0.5, "y": 0.5}),
    (swipe((0.8, 0.5), (0.2, 0.5)), ("swipe", 54, 182, 54, 45),
     {"kind": "swipe", "x0": 0.5, "y0": 0.8, "x1": 0.5, "y1": 0.2}),
    (Action(ActionType.Type, text="tea"), ("type", "tea"), {"kind": "text", "text": "tea"}),
    (Action(ActionType.Enter), ("key", Key.ENTER), {"kind": "key", "text": "enter"}),
    (Action(ActionType.GoBack), ("key", Key.BACK), {"kind": "key", "text": "back"}),
])
def test_execution_and_marks(make, action, call, mark):
    env = make()
    env.reset(seed=0)
    info = env.step(PARSER.render(action))[-1]
    assert env.unwrapped.device.log == [call]
    assert info["marks"] == [mark]


def test_points_outside_the_screen_are_clipped_with_a_warning(make):
    parser = AitwParser("released")
    env = make(parser=parser)
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="outside the screen"):
        env.step(parser.render(tap(3.0, -2.0)))
    assert env.unwrapped.device.log == [("tap", 0, 227)]


def test_unparsable_text_is_a_counted_idle_step(make):
    env = make()
    env.reset(seed=0)
    observation, _, terminated, truncated, info = env.step("let me think, about it")
    assert not terminated
    assert not truncated
    assert info["parse_failed"]
    assert info["parsed"] is None
    assert env.unwrapped.device.log == []
    assert observation["text"].startswith("Previous Actions:  Goal: ")


def test_unparsable_text_ends_a_released_episode(make):
    env = make(parser=AitwParser("released"))
    env.reset(seed=0)
    *_, terminated, _, info = env.step("let me think, about it")
    assert terminated
    assert info["parse_failed"]
    assert info["stop"] == "failure"


def test_white_screens_are_looked_at_again(make):
    phone = ButtonPhone()
    env = make(phone)
    phone.white_screens = 4
    observation, _ = env.reset(seed=0)
    assert observation["image"].mean() < 200
    phone.white_screens = 5
    assert env.step(ELSEWHERE)[0]["image"].mean() == 255


def test_a_lost_phone_truncates_with_the_last_good_observation(make):
    phone = ButtonPhone(lost_after=1)
    env = make(phone)
    env.reset(seed=0)
    good = env.step(ELSEWHERE)[0]
    observation, reward, terminated, truncated, info = env.step(GO)
    assert (reward, terminated, truncated, info["stop"]) == (0.0, False, True, "device_lost")
    assert "plug it in" in info["reason"]
    assert observation is good
    env.reset(seed=1)
    assert env.step(GO)[-1]["success"]


def test_a_phone_gone_for_good_is_unavailable_at_reset(make):
    env = make(ButtonPhone(lost_after=0, comes_back=False))
    with pytest.raises(DeviceUnavailable, match="plug it in"):
        env.reset(seed=0)


def test_a_phone_lost_during_reset_gets_a_second_chance(make):
    class Flaky(ButtonPhone):
        def reset(self, task, seed):
            if not self.resets:
                self.resets.append((task, seed))
                raise DeviceLost("dropped")
            super().reset(task, seed)

    env = make(Flaky())
    env.reset(seed=0)
    assert env.step(GO)[-1]["success"]


def test_an_evaluator_without_an_answer_ends_the_episode_uncounted(make):
    class Silent(GoalsOnly):
        def success(self, device, task, before, after):
            raise NotEvaluated("the judge did not answer; is it running?")

    env = make(evaluator=Silent())
    env.reset(seed=0)
    *_, truncated, info = env.step(GO)
    assert truncated
    assert (info["stop"], info["reason"]) == ("device_lost", "the judge did not answer; is it running?")


def test_sequential_sampling_follows_the_episode_number(make):
    env = make(sampling="sequential")
    listed = [env.reset(options={"episode": i})[1]["goal"] for i in (2, 0, 1, 5)]
    assert listed == ["press it twice", "press go", "open the café page", "press it twice"]
    assert env.reset()[1]["goal"] == "press go"


def test_reset_is_deterministic_in_the_seed(make):
    one, other = make(), make()
    drawn = [env.reset(seed=seed)[1]["goal"] for env in (one, other) for seed in range(8)]
    assert drawn[:8] == drawn[8:]
    assert len(set(drawn)) > 1
    assert one.unwrapped.device.resets == other.unwrapped.device.resets


def test_tree_observation_lists_what_can_be_tapped(make):
    env = make(observation="tree")
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"text"}
    _, listed = observation["text"].split(" Screen:\n")
    assert listed.splitlines() == [
        '[0.1250, 0.2500] Button "Go"',
        '[0.6250, 0.5000] EditText ""',
        '[0.3750, 0.5000] TextView "Press the button"',
    ]
    env.step(PARSER.render(tap(0.625, 0.5)))
    observation = env.step(PARSER.render(Action(ActionType.Type, text="tea")))[0]
    assert '[0.6250, 0.5000] EditText "tea" focused' in observation["text"]
    assert env.render().shape == (228, 108, 3)


def test_history_length_and_prompt_end(make):
    env = make(history=2, prompt_end="</s>")
    env.reset(seed=0)
    for _ in range(3):
        text = env.step(ELSEWHERE)[0]["text"]
    assert text.count("DUAL_POINT") == 2
    assert text.endswith("</s>")


def test_a_device_partial_is_told_its_worker(make):
    workers = []

    def build(worker):
        workers.append(worker)
        return ButtonPhone()

    make(partial(build), worker=3)
    assert workers == [3]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"task_set": "webshopping"}, "choose general, webshop, all"),
    ({"task_set": "nowhere.txt"}, "does not exist"),
    ({"split": "dev"}, "choose one of train, test"),
    ({"sampling": "shuffled"}, "choose one of random, uniform, sequential"),
    ({"observation": "video"}, "choose one of pixels, tree, both"),
    ({"horizon": 0}, "at least 1 step"),
    ({"evaluator": Programmatic()}, "env/evaluator=judge"),
])
def test_bad_arguments_are_one_sentence(make, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(**arguments)
    assert "\n" not in str(caught.value)


def test_empty_and_binary_task_files_are_refused(make, tmp_path):
    (tmp_path / "empty.txt").write_text("\n  \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="has no goal"):
        make(task_set=str(tmp_path / "empty.txt"))
    with pytest.raises(ValueError, match="UTF-8"):
        make(task_set=str(tmp_path / "binary.txt"))


def test_an_action_that_is_not_text_is_refused(make):
    env = make()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="agent's text"):
        env.step(np.int64(3))


SETTINGS = {"num_envs": 2, "device": {}, "evaluator": {}, "parser": {"_target_": "x"}, "task_set": "general",
            "split": "train", "sampling": "random", "observation": "pixels"}


@pytest.mark.parametrize("wrong", [{"horizon": 0}, {"num_envs": 0}, {"split": "dev"}, {"observation": "sound"},
                                   {"colour": 1}, {"parser": {"_target_": "x", "mode": "lenient"}}, {"history": -1}])
def test_settings_refuse(wrong):
    AndroidSettings(**SETTINGS)
    with pytest.raises(ValidationError):
        AndroidSettings(**{**SETTINGS, **wrong})
