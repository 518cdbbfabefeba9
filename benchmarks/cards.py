"""Steps a second of 256 card tables: the batched form against a Python loop over as many Gymnasium environments."""

import time
from collections.abc import Callable, Sequence
from random import Random

import numpy as np

import agentlab_runner.envs.cards
from agentlab_runner.envs.cards.actions import CardsParser
from agentlab_runner.envs.cards.vector import CardsVectorEnv
from benchmarks.figures import Figure

TABLES, STEPS, ROUNDS = 256, 100, 7
UNPARSABLE = 0.05
"""Share of utterances that name no action."""

Play = Callable[[Sequence[str]], object]


def measure(quick: bool = False) -> list[Figure]:
    """CPU seconds of both forms on the same utterances, in turns; the median ratio over the rounds.

    Both read utterances, tell the table in words, and give texts, states, rewards, ends and successes of all tables.
    The utterances are answers without thoughts: the batched form remembers what it has parsed, and where every thought
    is another that does not help.
    """
    return [_compare(game, 1 if quick else ROUNDS) for game in agentlab_runner.envs.cards.ENV_IDS]


def _compare(game: str, rounds: int) -> Figure:
    parser, rng = CardsParser(game), Random(0)
    said = [
        ["?" if rng.random() < UNPARSABLE else parser.render(rng.randrange(len(parser.labels))) for _ in range(TABLES)]
        for _ in range(STEPS)
    ]
    batched = CardsVectorEnv(game, TABLES)
    batched.reset(seed=0)
    loop, step = _loop(game), batched.step
    _seconds(loop, said), _seconds(step, said)
    spent = np.array([(_seconds(loop, said), _seconds(step, said)) for _ in range(rounds)])
    slow, fast = np.median(spent, axis=0)
    steps = TABLES * STEPS
    return {
        "figure": f"{game}: {TABLES} tables batched, against a loop",
        "measured": float(np.median(spent[:, 0] / spent[:, 1])),
        "unit": "x",
        "bar": ">= 10",
        "details": {"loop_steps_per_second": steps / slow, "batched_steps_per_second": steps / fast},
    }


def _loop(game: str) -> Play:
    tables = [agentlab_runner.envs.cards.make(game, worker=i, observation="text") for i in range(TABLES)]
    for i, table in enumerate(tables):
        table.reset(seed=i)

    def step(utterances: Sequence[str]) -> object:
        texts, states, outcomes = [], [], []
        for table, said in zip(tables, utterances, strict=True):
            observation, reward, terminated, truncated, info = table.step(said)
            outcomes.append((reward, terminated, truncated, info["success"]))
            if terminated or truncated:
                observation, info = table.reset()
            texts.append(observation["text"])
            states.append(info["state"])
        return texts, np.array(states), np.array(outcomes)

    return step


def _seconds(step: Play, said: Sequence[Sequence[str]]) -> float:
    began = time.process_time()
    for utterances in said:
        step(utterances)
    return time.process_time() - began
