"""The Gymnasium environment: what it shows, rewards, and makes of bad input."""

import builtins
import random
import warnings
from collections import Counter

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from agentlab_runner.envs import cards
from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.envs.cards.formula import SYMBOLS
from agentlab_runner.envs.cards.games import GAMES, NumberLine
from agentlab_runner.runners.online.rollout import collect
from agentlab_runner.runners.types import Decision, StopReason

STOPS = {"success", "failure", "horizon"}


def finish(env, choose):
    """Play an episode to its end; the infos of its steps and its return."""
    infos, total, over = [], 0.0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(choose())
        infos.append(info)
        total += reward
        over = terminated or truncated
    return infos, total


@pytest.mark.parametrize("observation", ["image", "text", "both"])
@pytest.mark.parametrize("game", GAMES)
def test_passes_gymnasiums_own_check(game, observation):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(Text|render_modes|spec|shape).*")
        check_env(cards.make(game, observation=observation, image_size=96).unwrapped)


@pytest.mark.parametrize("game", GAMES)
def test_is_registered(game):
    assert cards.ENV_IDS[game] in gymnasium.registry
    assert cards.make(game).unwrapped.game.name == game


@pytest.mark.parametrize("game", GAMES)
def test_the_contract_of_the_runner(game):
    env = cards.make(game, worker=3, image_size=96)
    parser, rng = CardsParser(game), random.Random(0)
    for seed in range(40):
        observation, info = env.reset(seed=seed, options={"episode": seed})
        assert observation["image"].shape == (96, 96, 3)
        assert (info["task"], info["level"]) == (game, 0)
        assert isinstance(info["goal"], str)
        infos, _ = finish(env, lambda: parser.render(rng.randrange(len(parser.labels))))
        assert [step["stop"] for step in infos[:-1]] == [None] * (len(infos) - 1)
        assert infos[-1]["stop"] in STOPS
        assert [step["success"] for step in infos] == [False] * (len(infos) - 1) + [infos[-1]["stop"] == "success"]
        for step in infos:
            assert parser.labels[parser.parse(step["parsed"])] == step["executed"]
            assert step["marks"] == [{"kind": "text", "text": step["executed"]}]
        with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
            env.step(parser.render(0))


class Mumbling:
    """An agent that half of the time says nothing of use."""

    def __init__(self, parser):
        self.parser, self.rng = parser, random.Random(0)

    def begin(self, episodes):
        pass

    def end(self, trajectories):
        pass

    def act(self, observations, deterministic):
        said = ["mumble", *map(self.parser.render, range(len(self.parser.labels)))]
        return [Decision(self.rng.choice(said)) for _ in observations]


@pytest.mark.parametrize("game", GAMES)
def test_the_runner_collects_episodes(game):
    tables = [cards.make(game, worker=i, observation="text") for i in range(4)]
    trajectories = collect(Mumbling(CardsParser(game)), tables, list(range(12)))
    assert {trajectory.task for trajectory in trajectories} == {game}
    assert {trajectory.stop for trajectory in trajectories} <= {StopReason(stop) for stop in STOPS}


@pytest.mark.parametrize("game", GAMES)
def test_a_seed_gives_the_same_episode_and_another_another(game):
    def episode(seed):
        env = cards.make(game)
        observation, info = env.reset(seed=seed)
        infos, total = finish(env, lambda: "mumble")
        return info["state"], observation["image"].tobytes(), [step["executed"] for step in infos], total

    assert episode(7) == episode(7)
    assert len({episode(seed)[1] for seed in range(8)}) > 1


@pytest.mark.parametrize("game", GAMES)
def test_an_unparsable_utterance_becomes_any_action_at_random(game):
    env, seen = cards.make(game, observation="text"), Counter()
    for seed in range(1200):
        env.reset(seed=seed)
        *_, info = env.step("mumble")
        assert (info["parsed"], info["parse_failed"]) == (None, True)
        seen[info["executed"]] += 1
    actions = GAMES[game].actions
    assert set(seen) == set(actions)
    expected = 1200 / len(actions)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in seen.values())


def test_number_line_success_needs_every_step_to_be_right():
    env = cards.make("numberline")
    outcomes = set()
    for seed in range(60):
        target, current = env.reset(seed=seed)[1]["state"]
        right, wrong = ("+", "-") if target > current else ("-", "+")
        first = wrong if seed % 2 else right
        moves = iter([first] + [right] * 9)
        infos, total = finish(env, lambda moves=moves: f'"action": "{next(moves)}"')
        assert infos[-1]["success"] == (total > 0) == (first == right)
        outcomes.add(infos[-1]["stop"])
    assert outcomes == {"success", "failure"}


def test_a_prompt_tells_the_table_only_where_there_is_no_picture():
    for game, told in (("numberline", "Target: "), ("blackjack", "Your sum: "), ("ezpoints", "Cards: ")):
        assert told not in cards.make(game).reset(seed=0)[0]["text"]
        for observation in ("text", "both"):
            assert told in cards.make(game, observation=observation).reset(seed=0)[0]["text"]
    assert "image" not in cards.make("ezpoints", observation="text").reset(seed=0)[0]


def test_a_prompt_shows_the_formula_and_the_form_of_the_answer():
    env = cards.make("ezpoints")
    _, info = env.reset(seed=0)
    first = info["state"][0]
    observation, *_ = env.step(f'{{"action": "{first}"}}')
    assert f'Formula: "{first}".' in observation["text"]
    for field in ("cards", "current formula", "thoughts", "action"):
        assert f'"{field}":' in observation["text"]
    short = cards.make("ezpoints", format="action_only").reset(seed=0)[0]["text"]
    assert '"thoughts"' not in short
    assert '"action":' in short
    assert cards.make("numberline", prompt="short").reset(seed=0)[0]["text"] == "Bring current to target: - or +."


def test_indices_are_taken_and_checked():
    env = cards.make("numberline")
    env.reset(seed=0)
    *_, info = env.step(np.int64(1))
    assert (info["executed"], info["parse_failed"]) == ("+", False)
    for wrong in (2, -1):
        with pytest.raises(ValueError, match=rf"numberline has no action {wrong}; its 2 actions are 0 to 1"):
            env.step(wrong)
    for wrong in (1.0, None, True, ["+"]):
        with pytest.raises(ValueError, match="an action is the agent's text, or an index"):
            env.step(wrong)


@pytest.mark.parametrize(
    "said",
    ['"action": "1/0="', '"action": "__import__(\'os\').abort()"', "exec", "\0", "²", "x" * 5000, '"action": "(' * 99],
)
def test_no_text_of_the_agent_reaches_an_evaluator(said, monkeypatch):
    def never(*_):
        raise AssertionError("text was evaluated")

    for mode in ("strict", "released"):
        env = cards.make("points24", parser=CardsParser("points24", mode), observation="text", released=True)
        for seed in range(5):
            env.reset(seed=seed)
            with monkeypatch.context() as patch:
                for name in ("eval", "exec", "compile"):
                    patch.setattr(builtins, name, never)
                finish(env, lambda: said)
            assert set(env.unwrapped.game.formula) <= SYMBOLS


@pytest.mark.parametrize(
    ("game", "wrong", "message"),
    [
        ("poker", {}, "unknown game 'poker'; choose one of numberline"),
        ("numberline", {"observation": "pixels"}, "unknown observation 'pixels'; choose one of image, text, both"),
        ("numberline", {"prompt": "long"}, "unknown prompt 'long'"),
        ("numberline", {"format": "xml"}, "unknown format 'xml'"),
        ("numberline", {"rng": "os"}, "unknown rng 'os'; choose one of own, released"),
        ("numberline", {"image_size": 10}, "image_size is 10"),
        ("ezpoints", {"natural": True}, "natural is a rule of blackjack"),
        ("ezpoints", {"parser": CardsParser("points24")}, "the parser reads points24, and the game is ezpoints"),
    ],
)
def test_bad_arguments(game, wrong, message):
    with pytest.raises(ValueError, match=message):
        cards.make(game, **wrong)


# -- as released ------------------------------------------------------------------------------------------------------


def test_released_chance_is_pythons_and_the_constructor_uses_up_a_deal():
    random.seed(11)
    for draw in (5, 5):  # the constructor's
        random.randint(0, draw)
    current, target = random.randint(0, 5), random.randint(0, 5)
    fallback = random.randint(0, 1)
    random.seed(11)
    env = cards.make("numberline", rng="released", released=True)
    _, info = env.reset(seed=123)
    assert info["state"] == (target, current)
    *_, info = env.step("mumble")
    assert info["executed"] == NumberLine.actions[fallback]


@pytest.mark.parametrize("game", ["ezpoints", "points24"])
def test_released_decks_do_not_depend_on_the_seed(game):
    states = []
    for seed in (1, 2):
        random.seed(5)
        states.append(cards.make(game, rng="released").reset(seed=seed)[1]["state"])
    assert states[0] == states[1]


def test_released_blackjack_is_seeded_by_reset():
    hands = [cards.make("blackjack", rng="released").reset(seed=seed)[1]["state"] for seed in (1, 1, 2, 3)]
    assert hands[0] == hands[1]
    assert len(set(hands)) > 1
