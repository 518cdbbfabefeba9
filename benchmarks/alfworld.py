"""The household's twin beside the PDDL engine it copies: the same games, the same commands, one process."""

import time
from random import Random
from typing import Any

import agentlab_runner.envs.alfworld
from agentlab_runner.envs.alfworld.engine import Engine
from agentlab_runner.envs.alfworld.pddl import PddlEngine
from agentlab_runner.envs.alfworld.scenes import Scenes
from agentlab_runner.envs.alfworld.twin import Twin
from agentlab_runner.envs.alfworld.world import World
from benchmarks.figures import Figure

SIZES = {"6 receptacles and 8 things": (6, 8), "whole rooms and 12 things": (None, 12)}
GAMES, STEPS = 6, 50
ROUNDS = 40
"""Times the twin plays the games, since it needs milliseconds for them."""


def measure(quick: bool = False) -> list[Figure]:
    """CPU seconds of starts and of random steps on both engines, and of the environment with prompt and picture."""
    figures: list[Figure] = []
    for name, (receptacles, objects) in SIZES.items():
        scenes = Scenes(receptacles=receptacles, objects=objects, sampling="sequential")
        worlds = [scenes.make(seed, seed) for seed in range(1 if quick else GAMES)]
        rounds = _spend(Twin(), worlds * ROUNDS)
        twin = {part: seconds / ROUNDS for part, seconds in rounds.items()}
        pddl = _spend(PddlEngine(), worlds)
        figures += [
            {
                "figure": f"twin against PDDL engine, {what} ({name})",
                "measured": ratio,
                "unit": "x",
                "bar": ">= 100",
                "details": {"games": len(worlds), "twin": twin, "pddl": pddl},
            }
            for what, ratio in (
                ("steps", pddl["steps"] / twin["steps"]),
                (f"games of {STEPS} steps", sum(pddl.values()) / sum(twin.values())),
            )
        ]
    return figures + [_environment(view, quick) for view in ("text", "both")]


def _spend(engine: Engine, worlds: list[World]) -> dict[str, float]:
    """CPU seconds of all starts and of all steps; a game that is won goes on, and nothing happens differently."""
    spent = {"starts": 0.0, "steps": 0.0}
    for number, world in enumerate(worlds):
        rng = Random(number % GAMES)
        began = time.process_time()
        turn = engine.start(world)
        spent["starts"] += time.process_time() - began
        for _ in range(STEPS):
            command = rng.choice(turn.commands)
            began = time.process_time()
            turn = engine.step(command)
            spent["steps"] += time.process_time() - began
    engine.close()
    return spent


def _environment(view: str, quick: bool) -> Figure:
    """Steps a second of the environment on the twin, resets included."""
    env: Any = agentlab_runner.envs.alfworld.make(observation=view, image_size=96)
    rng, steps, episodes = Random(0), 0, 5 if quick else 200
    began = time.process_time()
    for seed in range(episodes):
        env.reset(seed=seed)
        ended = False
        while not ended:
            _, _, terminated, truncated, _ = env.step(rng.choice(env.unwrapped.turn.commands))
            ended, steps = terminated or truncated, steps + 1
    spent = time.process_time() - began
    what = "prompts" if view == "text" else "prompts and pictures of 96 x 96"
    return {
        "figure": f"environment on the twin, whole rooms, {what}, a core",
        "measured": steps / spent,
        "unit": "steps/s",
        "bar": "",
        "details": {"steps": steps, "cpu_seconds": spent},
    }
