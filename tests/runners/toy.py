"""A guessing game and an agent that learns it by chance, for tests of the runner."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch

from agentlab_runner.runners.types import Decision, Metrics, Observation, Trajectory


class Guess(gymnasium.Env):
    """Succeeds when the action is `answer`; three tries, each of which takes `pause` seconds."""

    metadata = {}  # noqa: RUF012

    def __init__(self, worker: int = 0, split: str = "train", pause: float = 0.0, answer: int = 3):
        self.split, self.pause, self.answer = split, pause, answer

    def reset(self, *, seed=None, options=None):
        self.tries = 0
        return {"text": "guess", "image": np.full((8, 8, 3), seed % 255, np.uint8)}, {"task": "guess", "goal": "3"}

    def step(self, action):
        self.tries += 1
        time.sleep(self.pause)
        won = action == self.answer
        info = {"success": won, "parsed": str(action), "parse_failed": False, "marks": []}
        return {"text": "again", "image": np.zeros((8, 8, 3), np.uint8)}, float(won), won, self.tries == 3, info


class Shut(Guess):
    """Cannot be made."""

    def __init__(self, **settings: Any):
        raise RuntimeError("the simulator did not start")


class Closed(Guess):
    """Ends the whole program, as a game does whose window is closed."""

    def step(self, action):
        raise SystemExit


class Gambler:
    """Samples actions from logits and pushes up whatever won; its numbers depend on every random draw."""

    def __init__(self, lr: float = 0.5, crash_at: int = 0):
        self.logits, self.lr, self.learned, self.crash_at = torch.zeros(5), lr, 0, crash_at

    def setup(self, trainer) -> None:
        pass

    def begin(self, episodes: Sequence[int]) -> None:
        pass

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        drawn = torch.distributions.Categorical(logits=self.logits).sample((len(observations),))
        return [Decision(int(action)) for action in drawn]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        pass

    def learn(self, trajectories: Sequence[Trajectory], trainer) -> Metrics:
        self.learned += 1
        if self.learned == self.crash_at:
            raise RuntimeError("out of luck")
        for trajectory in trajectories:
            if trajectory.success:
                self.logits[trajectory.steps[-1].decision.action] += self.lr
        self.logits += 0.01 * torch.randn(5) + 0.01 * float(np.random.rand())
        return {"toy/logit": float(self.logits[3])}

    def state_dict(self) -> Mapping[str, Any]:
        return {"logits": self.logits.clone(), "learned": self.learned}

    def load_weights(self, state: Mapping[str, Any]) -> None:
        if state["logits"].shape != self.logits.shape:
            raise ValueError("other logits")
        self.logits = state["logits"].clone()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.logits, self.learned = state["logits"].clone(), state["learned"]
