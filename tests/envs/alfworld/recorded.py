"""Walks recorded from the PDDL engine, so that the twin is compared with it where the engine is not installed.

`python -m tests.envs.alfworld.recorded` plays them anew (with the extra `alfworld`) and writes `walks.json`.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import agentlab_runner.envs.alfworld
from tests.envs.alfworld.walks import SMALL, Walker

FILE = Path(__file__).with_name("walks.json")
EPISODES, STEPS = 12, 40
RECORDED = SMALL | {"observation": "text"}


def told(env: Any, outcome: tuple[Any, ...]) -> list[Any]:
    """What is kept of a reset or step: a checksum of the engine's text and commands, and the numbers."""
    turn = env.unwrapped.turn
    _, *numbers, info = outcome
    kept = {name: info[name] for name in ("command", "illegal", "goal_conditions", "stop") if name in info}
    return [zlib.crc32("\n".join((turn.text, *turn.commands)).encode()), *numbers, kept]


def record() -> None:
    pddl, twin = (agentlab_runner.envs.alfworld.make(engine=engine, **RECORDED) for engine in ("pddl", "twin"))
    walks = []
    for episode in range(EPISODES):
        walker, steps = Walker(episode), []
        twin.reset(seed=episode, options={"episode": episode})
        first = told(pddl, pddl.reset(seed=episode, options={"episode": episode}))
        for _ in range(STEPS):
            said = walker.utterance(twin)
            outcome = pddl.step(said)
            steps.append([said, told(pddl, outcome)])
            *_, terminated, truncated, _ = twin.step(said)
            if outcome[2] or outcome[3] or terminated or truncated:
                break
        walks.append({"episode": episode, "first": first, "steps": steps})
    FILE.write_text(json.dumps(walks, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    record()
