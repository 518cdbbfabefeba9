"""The household through Gymnasium: what it shows, does, rewards and refuses."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pydantic import ValidationError

import agentlab_runner.envs.alfworld
from agentlab_runner.envs.alfworld.commands import CommandParser
from agentlab_runner.envs.alfworld.env import AlfworldEnv
from agentlab_runner.envs.alfworld.expert import Expert
from agentlab_runner.envs.alfworld.settings import AlfworldSettings
from agentlab_runner.envs.alfworld.world import TaskType
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.online.rollout import demonstrate

SMALL = {"receptacles": 5, "objects": 5, "sampling": "sequential"}


def make(**kwargs):
    return agentlab_runner.envs.alfworld.make(**SMALL | kwargs)


def say(command: str) -> str:
    return CommandParser().render(command)


@pytest.mark.parametrize("observation", ["text", "image", "both"])
def test_passes_gymnasiums_own_check(observation):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(Text|render_modes|spec|shape).*")
        check_env(make(observation=observation).unwrapped)


def test_is_registered_and_made_by_its_config():
    assert agentlab_runner.envs.alfworld.ENV_ID in gymnasium.registry
    env = compose(["agent=coso", "env=alfworld", "model=tiny"]).env
    assert env._target_ == "agentlab_runner.envs.alfworld.make"


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_expert_solves_all_six_tasks(split):
    episodes = demonstrate(Expert(), make(split=split, reward="scaled"), seeds=range(60))
    assert {episode.task for episode in episodes} == set(TaskType)
    assert all(episode.success for episode in episodes)
    assert all(episode.total_reward == pytest.approx(2.0) for episode in episodes)
    assert all(step.info["parsed"] == step.info["command"] for episode in episodes for step in episode.steps)


def test_the_expert_solves_whole_rooms_in_time():
    env = agentlab_runner.envs.alfworld.make(sampling="sequential", objects=20, split="test")
    assert all(episode.success for episode in demonstrate(Expert(), env, seeds=range(60)))


def test_carelessness_costs_success_and_is_reproducible():
    first, again = (demonstrate(Expert(slip=0.8, wander=0.1), make(horizon=15), range(80)) for _ in range(2))
    rate = np.mean([episode.success for episode in first])
    assert 0.3 < rate < 0.9
    assert [[step.decision.action for step in episode.steps] for episode in first] == [
        [step.decision.action for step in episode.steps] for episode in again
    ]
    with pytest.raises(ValueError, match="slip is 2, expected a probability"):
        Expert(slip=2)


def test_rewards_of_the_release_and_the_scaled_ones():
    for reward, placed, idle, illegal, won in (
        ("released", 0.5, 0.5, -0.5, 51.0),
        ("scaled", 0.5, 0.0, -0.02, 1.5),
    ):
        env = make(task_types=["pick_two_obj_and_place"], reward=reward)
        env.reset(seed=0, options={"episode": 0})
        expert = Expert()
        expert.begin(env, 0)
        share = 0.0
        while share < 0.5:
            said = expert.decide(env)
            *_, info = (outcome := env.step(said))
            share = info["goal_conditions"]
        assert outcome[1] == placed
        assert env.step(say("inventory"))[1] == idle
        assert env.step(say("go to the moon 3"))[1] == pytest.approx(illegal)
        terminated = False
        while not terminated:
            _, last, terminated, truncated, info = env.step(expert.decide(env))
        assert (last, truncated, info["stop"], info["success"]) == (pytest.approx(won), False, "success", True)
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(say("look"))


def test_an_illegal_command_is_sent_as_it_is_and_nothing_happens():
    env = make()
    env.reset(seed=0)
    observation, reward, *_, info = env.step('{"thoughts": "", "action": "Open the Moon 1"}')
    assert (reward, info["illegal"], info["parsed"], info["parse_failed"]) == (-1.0, True, "open moon 1", False)
    assert "Now: Nothing happens." in observation["text"]
    *_, info = env.step("please " + "do " * 200)
    assert (info["parsed"], info["parse_failed"], len(info["command"])) == (None, True, 80)


@pytest.mark.parametrize("empty", ["", "  \n", '{"action": ""}'])
def test_saying_nothing_does_something_random_from_the_environments_own_generator(empty):
    done = set()
    for seed in range(40):
        env = make(task_types=["look_at_obj_in_light"])
        env.reset(seed=seed, options={"episode": 0})
        admissible = env.unwrapped.turn.commands
        *_, info = env.step(empty)
        assert (info["illegal"], info["parsed"], info["parse_failed"]) == (True, None, True)
        assert info["command"] in admissible
        done.add(info["command"].split(" ")[0])
        env.reset(seed=seed, options={"episode": 0})
        assert env.step(empty)[-1]["command"] == info["command"]
    assert done == {"go", "help", "inventory", "look"}


def test_the_horizon_truncates():
    env = make(horizon=3)
    env.reset(seed=0)
    ends = [env.step(say("look"))[2:] for _ in range(3)]
    assert [end[:2] for end in ends] == [(False, False), (False, False), (False, True)]
    assert ends[-1][-1]["stop"] == "horizon"


def test_a_seed_gives_one_episode():
    def play(seed):
        env = make(observation="both", sampling="random")
        observation, info = env.reset(seed=seed)
        texts, images = [observation["text"], info["goal"]], [observation["image"]]
        for _ in range(6):
            observation, *_ = env.step("")
            texts.append(observation["text"])
            images.append(observation["image"])
        return texts, np.stack(images)

    (texts, images), (again, images_again), (other, _) = play(3), play(3), play(4)
    assert texts == again
    np.testing.assert_array_equal(images, images_again)
    assert texts != other


def test_another_process_plays_the_same_episode(cli_env):
    play = (
        "import agentlab_runner.envs.alfworld as a\n"
        "env = a.make(observation='both', image_size=64)\n"
        "seen = [env.reset(seed=5)[0], *(env.step('')[0] for _ in range(8))]\n"
        "print([o['text'] for o in seen], [o['image'].sum() for o in seen])"
    )
    outputs = {
        subprocess.check_output([sys.executable, "-c", play], env=cli_env | {"PYTHONHASHSEED": number})
        for number in ("1", "2")
    }
    assert len(outputs) == 1


def test_prompts_tell_what_they_are_asked_to():
    def told(**kwargs):
        env = make(**kwargs)
        env.reset(seed=1, options={"episode": 0})
        place = next(command for command in env.unwrapped.turn.commands if command.startswith("go to"))
        for command in (place, "inventory"):
            observation, *_ = env.step(say(command))
        return observation["text"], place, env.unwrapped.engine.world.goal.text

    text, place, goal = told()
    assert f"Your task: {goal}." in text
    assert f"> {place}\nYou arrive at" in text
    assert "> inventory\nNow: You are not carrying anything." in text
    assert "look" in text.split("You can: ")[1]
    text, place, goal = told(prompt="short", commands="useful", history=1)
    assert text.startswith(f"Goal: {goal}. Did: inventory. See: You are not carrying anything. Can: ")
    assert "help" not in text
    text, *_ = told(prompt="short", commands="none", history=0)
    assert "Can:" not in text
    assert "Did:" not in text
    text, *_ = told(commands="listed")
    assert "You can" not in text
    assert "Answer with JSON" not in text
    text, place, _ = told(observation="image")
    assert "You arrive" not in text
    assert "not carrying" not in text
    text, *_ = told(parser=CommandParser(format="action_only"))
    assert text.endswith('{"action": "one of the commands, word by word"}')


def test_what_can_be_done_is_listed_with_the_utterance_for_each():
    env = make(commands="listed", observation="both", image_size=64)
    observation, _ = env.reset(seed=0)
    for _ in range(8):
        assert env.observation_space.contains(observation)
        assert set(observation["actions"]) == set(env.unwrapped.turn.commands) - {"look", "inventory", "help"}
        chosen = len(observation["actions"]) // 2
        phrase, utterance = observation["actions"][chosen], observation["action_ids"][chosen]
        assert env.unwrapped.parser.parse(utterance) == phrase
        observation, _, over, _, info = env.step(utterance)
        assert (info["command"], info["illegal"]) == (phrase, False)
        assert not over
    assert "actions" not in make().reset(seed=0)[0]


def test_the_picture_follows_the_state():
    env = make(task_types=["pick_heat_then_place_in_recep"], observation="both", image_size=160)
    expert = Expert()
    before = env.reset(seed=2, options={"episode": 0})[0]["image"]
    expert.begin(env, 2)
    assert before.shape == (160, 160, 3)
    hand = slice(int(0.8 * 160), None)
    changed = {}
    terminated = False
    while not terminated:
        observation, _, terminated, _, info = env.step(expert.decide(env))
        after = observation["image"]
        differs = after != before
        changed[info["command"].split(" ")[0]] = (bool(differs.any()), bool(differs[hand].any()))
        before = after
    assert changed["go"][0]
    assert changed["take"] == changed["move"] == (True, True)
    assert changed["heat"] == (True, True), "a hot thing is marked"
    np.testing.assert_array_equal(env.render(), before)


def test_small_pictures_carry_no_labels():
    sizes = {size: make(observation="image", image_size=size).reset(seed=0)[0]["image"].shape for size in (64, 300)}
    assert sizes == {64: (64, 64, 3), 300: (300, 300, 3)}


@pytest.mark.parametrize(("kwargs", "sentence"), [
    ({"engine": "thor"}, "unknown engine 'thor'; choose one of twin, pddl"),
    ({"observation": "pixels"}, "unknown observation 'pixels'; choose one of text, image, both"),
    ({"prompt": "long"}, "unknown prompt 'long'; choose one of full, short"),
    ({"commands": "some"}, "unknown commands 'some'"),
    ({"reward": "sparse"}, "unknown reward 'sparse'; choose one of released, scaled"),
    ({"horizon": 0}, "horizon is 0; an episode needs at least 1 step"),
    ({"history": -1}, "history is -1; expected 0 or more"),
    ({"data": "somewhere", "receptacles": 4}, "data holds finished scenes"),
    ({"data": "/nowhere", "receptacles": None}, "alfworld-download"),
])  # fmt: skip
def test_bad_arguments_are_answered_with_what_to_do(kwargs, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(**kwargs)


def test_an_action_is_text():
    env = AlfworldEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="an action is the agent's text, not int 3"):
        env.step(3)


def test_without_the_extra_the_pddl_engine_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "textworld", None)
    with pytest.raises(ValueError, match=r"needs the package textworld.*engine=twin"):
        make(engine="pddl")


def test_the_settings_refuse_what_leaves_nothing_to_play():
    values = {
        key: value for key, value in compose(["agent=coso", "env=alfworld", "model=tiny"]).env.items()
        if not key.startswith("_")
    }  # fmt: skip
    values["parser"] = dict(values["parser"])
    AlfworldSettings(**values)
    with pytest.raises(ValidationError, match="no task of the split train is left"):
        AlfworldSettings(**values | {"task_types": ["look_at_obj_in_light"], "rooms": ["bathroom"]})
