"""The environment as agents meet it: spaces, words, the horizon, bad input, many kitchens at once."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from agentlab_runner.envs.overcooked import ENV_IDS, RELEASED_IDS, make
from agentlab_runner.envs.overcooked.env import OvercookedEnv
from agentlab_runner.envs.overcooked.layout import ORDERS
from agentlab_runner.envs.overcooked.vector import OvercookedVectorEnv

TASKS = tuple(ENV_IDS)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("image", [False, True])
def test_gymnasiums_own_check(task, image):
    check_env(make(task, image=image).unwrapped)


def test_the_originals_names_are_registered():
    """And none is taken for the newer version of the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for task, name in RELEASED_IDS.items():
            assert gymnasium.make(name).unwrapped.task == task


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_can_be_asked_for_and_served(order):
    """Each ingredient is chopped on a board of its own or after the other one has gone into the bowl."""
    env = OvercookedEnv("tomato_lettuce_salad", radius=0, order=order)
    observation, info = env.reset()
    foods = order.split("-")
    assert observation["vector"].tolist()[-7:] == [float(order == name) for name in ORDERS]
    assert all(f"chopped {food}" in observation["text"] and food in info["goal"] for food in foods)
    assert info["level"] == len(foods)
    actions = []
    for food in foods:
        get = ["tomato", "lettuce", "onion"].index(food)
        actions += [get, 4, 7, 3, get, 5]  # chopped, put into the bowl, which then waits on the other board
    for action in [*actions, 3, 6]:
        _, _, terminated, _, info = env.step(action)
    assert (terminated, info["success"]) == (True, True)


def test_an_order_the_kitchen_has_no_food_for_is_refused():
    with pytest.raises(ValueError, match="the kitchen of tomato_salad has no lettuce for lettuce-tomato; set task to"):
        OvercookedEnv("tomato_salad", order="lettuce-tomato")
    many = OvercookedVectorEnv("tomato_lettuce_salad", 2, order="onion")
    assert "nothing but chopped onion." in many.reset()[0]["text"][1]


def test_words_follow_the_state():
    env = OvercookedEnv("tomato_lettuce_salad")
    observation, _ = env.reset()
    assert "two fixed cutting boards" in observation["text"]
    assert "a tomato, a lettuce and an onion on the counters" in observation["text"]
    assert observation["actions"][3] == "pick up the empty bowl"
    said = []
    for action in (0, 4, 7, 3, 0):
        observation, *_ = env.step(action)
        said.append(observation)
    carrying, at_board, done, bowl, filled = said
    assert "carrying a raw tomato" in carrying["text"]
    assert carrying["actions"][4] == "put the tomato on the first cutting board"
    assert "a raw tomato on the first cutting board" in at_board["text"]
    assert "standing in front of the first cutting board and carrying nothing" in at_board["text"]
    assert at_board["actions"][7] == "chop the tomato"
    assert "a chopped tomato on the first cutting board" in done["text"]
    assert bowl["actions"][0] == "put the tomato into the bowl"
    assert "carrying a bowl of chopped tomato" in filled["text"]
    assert filled["actions"][3] == "pick up the bowl"
    assert filled["actions"][6] == "serve the dish to the guest"


def test_the_horizon_cuts_a_macro_unless_the_original_is_asked_for():
    env = OvercookedEnv("tomato_salad", horizon=12)
    strict = OvercookedEnv("tomato_salad", horizon=12, strict_original=True)
    for own, expected in ((env, 12), (strict, 20)):
        own.reset()
        own.step(0)
        own.step(1)  # nothing: raw food in hand; walks 4 cells down to the plate
        outcome = own.step(2)
        while not (outcome[2] or outcome[3]):
            outcome = own.step(1)
        _, _, terminated, truncated, info = outcome
        assert (terminated, truncated) == (False, True)
        assert info["stop"] == "horizon"
        assert 12 <= info["episode_steps"] <= expected
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


@pytest.mark.parametrize(("strict", "steps"), [(False, 200), (True, 201)])
def test_the_released_horizon_is_overrun_by_the_macro_that_meets_it(strict, steps):
    env = OvercookedEnv("tomato_salad", strict_original=strict)
    env.reset()
    for _ in range(199):
        *_, terminated, truncated, _ = env.step(4)  # chop nothing: one primitive step
        assert not terminated
        assert not truncated
    *_, truncated, info = env.step(0)  # the tomato is two away
    assert (truncated, info["episode_steps"], info["stop"]) == (True, steps, "horizon")


def test_both_scales_pay_the_same_events():
    returns = {}
    for scale in ("twosome", "macro_overcooked", [0.2, 1.0, 0.1, 0.001]):
        env = OvercookedEnv("tomato_salad", rewards=scale)
        env.reset()
        for action in (0, 2, 4, 0, 1, 3):
            info = env.step(action)[-1]
        returns[str(scale)] = info["episode_return"]
    assert returns["twosome"] == returns["[0.2, 1.0, 0.1, 0.001]"]
    # chopped after 10 primitive steps, delivered after 28
    gain = lambda chop, serve, step: (  # noqa: E731
        chop * 0.99**9 + serve * 0.99**27 - step * sum(0.99**t for t in range(28))
    )
    assert returns["macro_overcooked"] == pytest.approx(gain(10, 200, 0.1))
    assert returns["twosome"] == pytest.approx(gain(0.2, 1, 0.001))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"task": "soup"}, "unknown task 'soup'; choose one of tomato_salad"),
        ({"order": "soup"}, "unknown order 'soup'; choose one of tomato, lettuce, onion, lettuce-tomato"),
        ({"room": "D"}, "unknown room 'D'; choose one of A, B, C"),
        ({"radius": -1}, "radius is -1"),
        ({"rewards": "large"}, "unknown rewards 'large'"),
        ({"rewards": [1, 2]}, "give four"),
        ({"horizon": 0}, "horizon is 0"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        OvercookedEnv(**arguments)


@pytest.mark.parametrize("action", [5, -1, "chop", 1.0])
def test_no_action_of_the_kitchen(action):
    env = OvercookedEnv("tomato_salad")
    env.reset()
    with pytest.raises(ValueError, match=r"is no action of tomato_salad; give an index of 0 to 4"):
        env.step(action)


def test_pictures_tell_states_apart_and_show_the_window():
    env = OvercookedEnv("tomato_salad", image=True)
    pictures = {env.reset()[0]["image"].tobytes()}
    for action in (0, 2, 4, 0, 1):
        pictures.add(env.step(action)[0]["image"].tobytes())
    assert len(pictures) == 6
    whole, part = OvercookedEnv("tomato_salad", radius=0), OvercookedEnv("tomato_salad")
    whole.reset(), part.reset()
    assert whole.render().mean() > part.render().mean()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("strict", [False, True])
def test_many_kitchens_go_like_single_ones(task, strict):
    n, rng = 5, np.random.default_rng(1)
    options = {"horizon": 60, "strict_original": strict, "radius": 2}
    many = OvercookedVectorEnv(task, n, **options)
    single = [OvercookedEnv(task, **options) for _ in range(n)]
    seen, _ = many.reset()
    for i, env in enumerate(single):
        assert env.reset()[0]["text"] == seen["text"][i]
    ends = 0
    for _ in range(300):
        actions = rng.integers(many.single_action_space.n, size=n)
        seen, rewards, terminated, truncated, infos = many.step(actions)
        for i, env in enumerate(single):
            observation, reward, ended, cut, info = env.step(int(actions[i]))
            assert (reward, ended, cut) == (pytest.approx(rewards[i], abs=1e-12), terminated[i], truncated[i])
            assert (info["steps"], info["success"]) == (infos["steps"][i], infos["success"][i])
            if ended or cut:
                ends += 1
                assert infos["final_obs"][i]["text"] == observation["text"]
                observation, _ = env.reset()
            assert observation["text"] == seen["text"][i]
            assert observation["actions"] == seen["actions"][i]
            assert observation["action_ids"] == seen["action_ids"][i]
            assert np.array_equal(observation["vector"], seen["vector"][i])
    assert ends > n


def test_many_kitchens_refuse_a_wrong_batch():
    many = OvercookedVectorEnv("tomato_salad", 3)
    many.reset()
    with pytest.raises(ValueError, match="give 3 indices of 0 to 4"):
        many.step(np.array([0, 1]))
    with pytest.raises(ValueError, match="num_envs is 0"):
        OvercookedVectorEnv("tomato_salad", 0)
