"""Primitive steps a second of the kitchen: a batch of 256 against a loop over single ones, and a single one."""

import time

import numpy as np

from agentlab_runner.envs.overcooked.env import OvercookedEnv
from agentlab_runner.envs.overcooked.vector import OvercookedVectorEnv
from benchmarks.figures import Figure

TASK, BATCH = "tomato_lettuce_salad", 256


def measure(quick: bool = False) -> list[Figure]:
    """Random play of the larger task, tables filled by ten episodes beforehand; one thread does all."""
    ticks = 20 if quick else 400
    rng = np.random.default_rng(0)
    many = OvercookedVectorEnv(TASK, BATCH)
    many.reset()
    for _ in range(10):
        _batch(many, rng, 50)
    many.reset()
    batched = _batch(many, rng, ticks)
    single = _single(rng, ticks * 10)
    return [
        {
            "figure": f"primitive steps/s of {BATCH} kitchens in a batch, one core",
            "measured": batched,
            "unit": "/s",
            "bar": ">= 50000",
            "details": {"macro_steps": ticks * BATCH},
        },
        {
            "figure": "primitive steps/s of a single Gymnasium kitchen, one core",
            "measured": single,
            "unit": "/s",
            "bar": ">= 3000",
            "details": {"macro_steps": ticks * 10},
        },
    ]


def _batch(many: OvercookedVectorEnv, rng: np.random.Generator, ticks: int) -> float:
    began, steps = time.perf_counter(), 0
    for _ in range(ticks):
        *_, infos = many.step(rng.integers(len(many.macros), size=many.num_envs))
        steps += int(infos["steps"].sum())
    return steps / (time.perf_counter() - began)


def _single(rng: np.random.Generator, ticks: int) -> float:
    env = OvercookedEnv(TASK)
    env.reset()
    began, steps = time.perf_counter(), 0
    for _ in range(ticks):
        _, _, terminated, truncated, info = env.step(int(rng.integers(env.actions_total)))
        steps += info["steps"]
        if terminated or truncated:
            env.reset()
    return steps / (time.perf_counter() - began)
