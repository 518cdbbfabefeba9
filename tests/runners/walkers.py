"""A team environment small enough to reckon by hand, and an agent for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agentlab_runner.envs.batched import Outcome, Spec, View, draws
from agentlab_runner.runners.experiment import Trainer
from agentlab_runner.runners.teams import TeamChoice, TeamView
from agentlab_runner.runners.types import Metrics, Trajectory


class Walkers:
    """Agents on a line take 0 or 1 steps; agent i dies after `life + i` steps, the episode ends with the last or at 9.

    Each earns what it walks times (its number + 1); where they start, the seed says. Action 1 is illegal at place 7.
    """

    tasks: Mapping[str, Mapping[str, float]] = {"few": {"n": 1.0}, "many": {"n": 3.0}}

    def __init__(self, num_envs: int = 1, device: str = "cpu", n: int = 2, stuck: bool = False) -> None:
        self.n, self.stuck, self.device = n, stuck, device
        self.spec = Spec(agents=3, observation=2, actions=2, state=4)
        self.seeds = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.step_number, self.size = self.seeds.clone(), self.seeds + n
        self.life = self.seeds.clone()
        self.at = torch.zeros(num_envs, 3, device=device)
        self.closed = False

    def reset(self, rows: Tensor, seeds: Tensor, tasks: Sequence[str | None]) -> Sequence[Mapping[str, Any]]:
        for task in tasks:
            if task is not None and task not in self.tasks:
                raise ValueError(f"{task!r} is none of {', '.join(self.tasks)}")
        sizes = [self.n if task is None else int(self.tasks[task]["n"]) for task in tasks]
        chance = draws(seeds, 0, 4)
        self.size = self.size.index_copy(0, rows, torch.tensor(sizes, device=self.device))
        self.step_number = self.step_number.index_fill(0, rows, 0)
        self.life = self.life.index_copy(0, rows, 1 + (chance[:, 3] * 5).long())
        self.at = self.at.index_copy(0, rows, (chance[:, :3] * 3).floor().float())
        return [{"task": task or f"own {self.n}"} for task in tasks]

    def view(self) -> View:
        places = torch.arange(3, device=self.device)
        present = (places < self.size[:, None]) & (self.step_number[:, None] < self.life[:, None] + places)
        seen = torch.stack([self.at, self.step_number[:, None].expand(-1, 3).float()], dim=2) * present[:, :, None]
        legal = torch.stack([torch.ones_like(present), self.at != 7], dim=2)
        if self.stuck:
            legal = legal & (self.step_number != 2)[:, None, None]
        return View(seen, present, torch.cat([self.at, self.size[:, None].float()], dim=1), legal)

    def step(self, actions: Tensor) -> Outcome:
        present = self.view().present
        walked = actions * present
        self.at = self.at + walked
        self.step_number = self.step_number + 1
        late = self.step_number >= 9
        ended = late | ~self.view().present.any(dim=1)
        factors = torch.arange(1, 4, device=self.device)
        ends = ended[:, None].expand(-1, 3)
        return Outcome(
            rewards=walked * factors.float(),
            terminated=ends & ~late[:, None],
            truncated=ends & late[:, None],
            ended=ended,
            success=self.at.sum(dim=1) > 6,
            measures={"place": self.at.sum(dim=1)},
        )

    def picture(self, state: Tensor, present: Tensor, shown: Mapping[str, Tensor]) -> NDArray[np.uint8]:
        drawn = np.zeros((8, 32, 3), np.uint8)
        for place in state[:3][present].long().tolist():
            drawn[:, place] = 255
        return drawn

    def close(self) -> None:
        self.closed = True


@dataclass
class Wanderer:
    """Walks with chance one half, and counts in its memory how often it was asked in an episode."""

    broken: str = ""

    def setup(self, trainer: Trainer) -> None: ...

    def decide(self, view: TeamView, memory: Mapping[str, Tensor], deterministic: bool) -> TeamChoice:
        asked = memory.get("asked", torch.zeros_like(view.step)) + 1
        assert torch.equal(asked, view.step + 1) or not bool(view.present.any(dim=1).all())
        may = view.legal[:, :, 1] if view.legal is not None else view.present
        walks = may if deterministic else (view.uniform(1)[:, :, 0] < 0.5) & may
        if self.broken == "illegal":
            walks = torch.ones_like(may)
        actions: Tensor = walks.long()
        if self.broken == "nan":
            actions = torch.full((*walks.shape, 1), float("nan"))
        return TeamChoice(actions, {"asked": asked}, {"asked": asked})

    def learn(self, trajectories: Sequence[Trajectory], trainer: Trainer) -> Metrics:
        return {"walked": sum(one.total_reward for one in trajectories)}

    def state_dict(self) -> Mapping[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...
