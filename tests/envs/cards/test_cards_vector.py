"""The batched form goes step for step like the single one."""

import random

import gymnasium
import numpy as np
import pytest

import agentlab_runner.envs.cards
from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.envs.cards.batch import BLOCK, Streams
from agentlab_runner.envs.cards.demonstrator import Player
from agentlab_runner.envs.cards.games import GAMES
from agentlab_runner.envs.cards.vector import CardsVectorEnv

TABLES = 8


class Singles:
    """The single form, N times, each ended episode followed by the next in the same step."""

    def __init__(self, game, style, seed):
        self.tables = [agentlab_runner.envs.cards.make(game, observation="text", prompt=style) for _ in range(TABLES)]
        self.now = [table.reset(seed=seed + i) for i, table in enumerate(self.tables)]

    def shown(self):
        return [(observation["text"], tuple(info["state"])) for observation, info in self.now]

    def step(self, actions):
        outcomes = []
        for i, (table, action) in enumerate(zip(self.tables, actions, strict=True)):
            observation, reward, terminated, truncated, info = table.step(action)
            final = None
            if terminated or truncated:
                final = (observation["text"], info["state"])
                self.now[i] = table.reset()
            else:
                self.now[i] = observation, info
            done = table.unwrapped.game.actions.index(info["executed"])
            outcomes.append((reward, terminated, truncated, info["success"], info["parse_failed"], done, final))
        return outcomes


def shown(observation):
    return list(zip(observation["text"], map(tuple, observation["state"].tolist()), strict=True))


def outcomes(result):
    _, rewards, terminated, truncated, infos = result
    finals = infos.get("final_obs", [None] * TABLES)
    last = [final and (final["text"], tuple(final["state"].tolist())) for final in finals]
    keys = ("success", "parse_failed", "executed")
    return list(zip(rewards, terminated, truncated, *(infos[key].tolist() for key in keys), last, strict=True))


def utterances(game, tables, style):
    """What is said to all tables: mumbling, any action, or what a good player says, so that some games are won."""
    parser, rng, player = CardsParser(game), random.Random(0), Player(forced=0.05)

    def say(table):
        if style == "random":
            return "mumble" if rng.random() < 0.1 else parser.render(rng.randrange(len(parser.labels)))
        return player.decide(table)

    return lambda: [say(table) for table in tables]


@pytest.mark.parametrize("style", ["random", "player"])
@pytest.mark.parametrize("game", GAMES)
def test_equal_to_the_single_form(game, style):
    singles = Singles(game, "short", seed=100)
    batched = CardsVectorEnv(game, TABLES, prompt="short")
    say = utterances(game, singles.tables, style)
    observation, _ = batched.reset(seed=100)
    won = 0
    for _ in range(400 if style == "random" else 60):
        assert shown(observation) == singles.shown()
        said = say()
        result = batched.step(said)
        expected = singles.step(said)
        assert outcomes(result) == expected
        won += sum(outcome[3] for outcome in expected)
        observation = result[0]
    assert won or style == "random"


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_equal_to_the_single_form_for_long(game):
    singles = Singles(game, "full", seed=7)
    batched = CardsVectorEnv(game, TABLES)
    say = utterances(game, singles.tables, "random")
    batched.reset(seed=7)
    for _ in range(5000):
        said = say()
        result = batched.step(said)
        assert outcomes(result) == singles.step(said)
        assert shown(result[0]) == singles.shown()


@pytest.mark.parametrize("game", GAMES)
def test_indices_do_what_utterances_do(game):
    parser, rng = CardsParser(game), np.random.default_rng(0)
    first, second = CardsVectorEnv(game, TABLES), CardsVectorEnv(game, TABLES)
    first.reset(seed=1)
    second.reset(seed=1)
    for _ in range(50):
        actions = rng.integers(len(parser.labels), size=TABLES)
        a, b = first.step(actions), second.step([parser.render(action) for action in actions])
        assert outcomes(a) == outcomes(b)


@pytest.mark.parametrize("game", GAMES)
def test_made_through_gymnasium(game):
    env = gymnasium.make_vec(agentlab_runner.envs.cards.ENV_IDS[game], num_envs=3, prompt="short")
    assert isinstance(env, CardsVectorEnv)
    observation, _ = env.reset(seed=[5, 5, 6])
    assert observation in env.observation_space
    assert shown(observation)[0] == shown(observation)[1]
    assert env.step(["", "", ""])[4]["parse_failed"].all()


def test_streams_are_those_of_the_generators_whatever_the_blocks():
    streams = Streams([np.random.default_rng(seed) for seed in range(3)])
    drawn: list[list[float]] = [[], [], []]
    rng = random.Random(0)
    for _ in range(200):
        rows = np.array(sorted(rng.sample(range(3), rng.randint(0, 3))), dtype=int)
        used = np.array([rng.randint(0, 5) for _ in rows], dtype=int)
        for row, ahead, count in zip(rows, streams.ahead(rows, 5), used, strict=True):
            drawn[row] += ahead[:count].tolist()
        streams.skip(rows, used)
    assert min(map(len, drawn)) > BLOCK
    for seed, row in enumerate(drawn):
        assert row == np.random.default_rng(seed).random(len(row)).tolist()


def test_bad_input():
    env = CardsVectorEnv("numberline", 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="there is no action 2; the 2 actions are 0 to 1"):
        env.step([0, 2])
    with pytest.raises(ValueError, match="3 actions for 2 tables"):
        env.step([0, 1, 0])
    with pytest.raises(ValueError, match="3 seeds for 2 tables"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="num_envs is 0"):
        CardsVectorEnv("numberline", 0)
    with pytest.raises(ValueError, match="unknown game 'poker'"):
        CardsVectorEnv("poker", 2)
    with pytest.raises(ValueError, match="the parser reads ezpoints"):
        CardsVectorEnv("numberline", 2, parser=CardsParser("ezpoints"))
