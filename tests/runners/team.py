"""An agent whose policy is called as a language policy is, and whose numbers depend on no random draw."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from agentlab_runner.runners.processes.collective import divided, gather
from agentlab_runner.runners.types import Decision, Metrics, Observation, Trajectory


@dataclass(frozen=True)
class Guesses:
    logits: Tensor  # [B, 5]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(3, 7), nn.Linear(7, 6)])
        self.head = nn.Linear(6, 5)
        self.rows = 0

    def forward(self, observations: Sequence[Observation]) -> Guesses:
        return divided(self.guess, observations)

    def guess(self, observations: Sequence[Observation]) -> Guesses:
        self.rows += len(observations)
        brightness = torch.tensor([float(observation["image"][0, 0, 0]) / 255 for observation in observations])
        x = torch.stack([brightness, brightness.square(), torch.ones_like(brightness)], dim=1)
        for block in self.blocks:
            x = torch.tanh(block(x))
        return Guesses(self.head(x))


class Team:
    """Learns to guess 3 whatever it sees, in two micro-batches of different sizes a step."""

    def __init__(self, die_at: int = 0, hold_at: int = 0) -> None:
        self.net, self.iteration, self.die_at, self.hold_at = Net(), 0, die_at, hold_at

    def setup(self, trainer) -> None:
        trainer.prepare(self.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.05)

    def begin(self, episodes: Sequence[int]) -> None:
        self.begun = list(episodes)

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        with torch.no_grad():
            logits = self.net(observations).logits  # apart from the others, so not divided
        return [Decision(int(row.argmax()), {"logit": float(row[3])}) for row in logits]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        pass

    def learn(self, trajectories: Sequence[Trajectory], trainer) -> Metrics:
        self.iteration += 1
        if self.iteration == self.die_at and trainer.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.iteration == self.hold_at:
            time.sleep(600)
        seen = [step.observation for trajectory in trajectories for step in trajectory.steps]
        norm = trainer.step(self.optimizer, self._losses(seen), self.net.parameters(), max_grad_norm=0.5)
        said = sum(step.decision.extras["logit"] for trajectory in trajectories for step in trajectory.steps)
        return {"norm": norm, "said": said, "draws": float(len(set(gather(float(torch.rand(()))))))}

    def _losses(self, seen: Sequence[Observation]):
        for part in (seen[:3], seen[3:]):
            logits = self.net(part).logits
            yield nn.functional.cross_entropy(logits, torch.full((len(part),), 3), reduction="sum") / len(seen)

    def state_dict(self) -> Mapping[str, Any]:
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "iteration": self.iteration}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration = state["iteration"]
