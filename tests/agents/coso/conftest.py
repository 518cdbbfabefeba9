"""A small phone-like world for the learner: AitW texts, a tiny policy that says them, episodes of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from agentlab_runner.agents.coso.agent import CosoAgent
from agentlab_runner.agents.llm import tiny
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.envs.android.actions import AitwParser
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory

KINDS = ("DUAL_POINT", "TYPE", "PRESS_BACK", "PRESS_HOME", "STATUS_TASK_COMPLETE")
SMALL = {
    "actor_steps": 2,
    "batch_size": 8,
    "micro_batch": 4,
    "critic_steps": 2,
    "instruction_critic_steps": 2,
    "critic_width": 16,
    "replay_capacity": 60,
    "heatmap_every": 2,
    "scm": {"width": 16, "layers": 1, "heads": 2, "pretrain_rounds": 3, "draws": 16},
    "imitation": {"steps": 3, "warmup": 1, "batch_size": 4},
}


def action_text(kind: str, point: tuple[float, float] = (-1.0, -1.0), text: str = "") -> str:
    place = f"[{point[0]:.4f}, {point[1]:.4f}]"
    return (
        f'Action Decision: "action_type": "{kind}", "touch_point": "{place}", "lift_point": "{place}", '
        f'"typed_text": "{text}"'
    )


@pytest.fixture(scope="session")
def texts() -> list[str]:
    rng = np.random.default_rng(0)
    taps = [action_text("DUAL_POINT", (float(y), float(x))) for y, x in rng.random((12, 2))]
    return taps + [action_text("TYPE", text=word) for word in ("shoes", "alarm")] + [action_text(k) for k in KINDS[2:]]


@pytest.fixture(scope="session")
def folder(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = [*texts, "Goal: open the settings", "Previous Actions: none"]
    return tiny.create(
        tmp_path_factory.mktemp("made") / "model",
        corpus,
        image_size=32,
        width=32,
        layers=1,
        vision_layers=1,
        heads=2,
        vocab_size=400,
    )


@pytest.fixture
def make_agent(folder: Path):
    def make(**settings) -> CosoAgent:
        torch.manual_seed(0)
        scm = SMALL["scm"] | settings.pop("scm", {})
        agent = CosoAgent(
            LanguagePolicy.from_pretrained(folder, max_new_tokens=12), AitwParser(), **(SMALL | settings | {"scm": scm})
        )
        agent.setup(Trainer())
        return agent

    return make


@pytest.fixture
def play(texts: list[str]):
    def play(agent: CosoAgent, seed: int, spoiled: int = 1) -> list[Trajectory]:
        """Six episodes of three steps; every second one succeeds, the first `spoiled` begin with nonsense."""
        rng = np.random.default_rng(seed)
        frames = [np.full((32, 32, 3), shade, dtype=np.uint8) for shade in (0, 90, 200)]

        def observation():
            return {"text": f"Goal: open the settings {rng.integers(3)}", "image": frames[rng.integers(3)].copy()}

        played = []
        for number in range(6):
            said = [texts[i] for i in rng.integers(len(texts), size=3)]
            if number < spoiled:
                said[0] = "hm: open"
            won = number % 2 == 0
            steps = tuple(
                Step(observation(), Decision(text, {"token_ids": agent.policy.encode(text)}), float(won and i == 2))
                for i, text in enumerate(said)
            )
            stop = StopReason.SUCCESS if won else StopReason.HORIZON
            played.append(Trajectory(steps, observation(), stop, won, seed=number, task="settings"))
        return played

    return play
