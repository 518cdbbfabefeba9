"""A model small enough to be made in a test, and screens to show it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.tiny import create

WORDS = ("headphones", "laptop", "coffee maker", "usb cable", "alarm clock", "winter jacket")
COORDINATES = [0.0712 + 0.1231 * i for i in range(8)]


def action(kind: str, y: float = -1.0, x: float = -1.0, typed: str = "") -> str:
    point = f"[{y:.4f}, {x:.4f}]" if y >= 0 else "[-1.0, -1.0]"
    return (
        f'Action Plan: [{kind}] Action Decision: "action_type": "{kind}", "touch_point": "{point}", '
        f'"lift_point": "{point}", "typed_text": "{typed}"'
    )


def prompt(goal: str, y: float = 0.1943, x: float = 0.3174) -> str:
    point = f"[{y:.4f}, {x:.4f}]"
    return (
        f'Previous Actions: {{"action_type": "DUAL_POINT", "touch_point": "{point}", "lift_point": "{point}", '
        f'"typed_text": ""}} Goal: {goal}'
    )


def corpus() -> list[str]:
    texts = []
    for word in WORDS:
        for y in COORDINATES:
            for x in COORDINATES[:5]:
                texts += [prompt(f"Search for {word} on walmart", y, x), action("DUAL_POINT", y, x)]
        texts += [action("TYPE", typed=word), action("PRESS_ENTER"), action("STATUS_TASK_COMPLETE")] * 3
    return texts


def screens(count: int) -> list[dict]:
    """Observations with prompts of different lengths; the screens are noise, each third one the same."""
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 255, (64, 40, 3), dtype=np.uint8) for _ in range(3)]
    return [
        {"text": prompt("Search for " + " ".join(WORDS[: 1 + i % 4])), "image": images[i % 3]} for i in range(count)
    ]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return create(folder, corpus(), image_size=32, patch_size=8, scale_factor=2, width=32, layers=2, heads=2)


@pytest.fixture
def policy(tiny_folder: Path) -> LanguagePolicy:
    torch.manual_seed(0)
    return LanguagePolicy.from_pretrained(tiny_folder, max_new_tokens=12)
