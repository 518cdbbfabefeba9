"""Steps a second of batched Spread beside mpe2's parallel loop: the same team sizes, random actions, whole episodes."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from mpe2 import simple_spread_v3

from agentlab_runner.envs.mpe.spread import Spread
from benchmarks.figures import Figure

ENVS, STEPS = 64, 25
SIZES = {3: (">= 100", 60), 8: (">= 180", 24), 16: (">= 200", 12)}
"""By team size, the bar and how often both play, in turn."""


def measure(quick: bool = False) -> list[Figure]:
    """CPU seconds on one thread, resets, observations and states included; the median of each side's rounds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_against(n, bar, 2 if quick else rounds) for n, (bar, rounds) in SIZES.items()]
    finally:
        torch.set_num_threads(threads)


def _against(n: int, bar: str, rounds: int) -> Figure:
    ways = {"batched": (_batched(n), ENVS * STEPS), "mpe2": (_loop(n), STEPS)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        for name, (play, _) in ways.items():
            began = time.process_time()
            play()
            if number >= 0:  # the first warms up
                seconds[name].append(time.process_time() - began)
    rates = {name: steps / statistics.median(seconds[name]) for name, (_, steps) in ways.items()}
    return {
        "figure": f"env steps/s of Spread, {ENVS} rows of {n} agents / mpe2",
        "measured": rates["batched"] / rates["mpe2"],
        "unit": "x",
        "bar": bar,
        "details": {"steps_per_cpu_second": rates, "rounds": rounds, "dtype": "float64"},
    }


def _batched(n: int) -> Callable[[], None]:
    env, rows = Spread(ENVS, n=n), torch.arange(ENVS)
    actions = torch.randint(0, 5, (STEPS, ENVS, n), generator=torch.Generator().manual_seed(0))

    def play() -> None:
        env.reset(rows, rows, [None] * ENVS)
        for chosen in actions.unbind():
            env.view()
            env.step(chosen)
        env.view()

    return play


def _loop(n: int) -> Callable[[], None]:
    env = simple_spread_v3.parallel_env(N=n)
    table = np.random.default_rng(0).integers(0, 5, (STEPS, n)).tolist()
    actions = [{f"agent_{agent}": action for agent, action in enumerate(chosen)} for chosen in table]

    def play() -> None:
        env.reset(seed=0)
        for chosen in actions:
            env.step(chosen)

    return play
