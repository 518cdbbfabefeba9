"""Episodes as the pointer learns from them, and the successful ones, which it learns from again."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from agentlab_runner.agents.pointer.states import State, state_of
from agentlab_runner.agents.rl.phrases import chosen, duration, reward
from agentlab_runner.runners.types import Trajectory


@dataclass(frozen=True, slots=True)
class Episode:
    """What was seen and chosen, T decisions."""

    states: tuple[State, ...]
    choices: tuple[int, ...]
    rewards: tuple[float, ...]
    durations: tuple[int, ...]
    """k_t, primitive steps each action took."""
    group: int
    """Equal for episodes that began in the same state."""

    def __len__(self) -> int:
        return len(self.choices)


@dataclass(frozen=True, slots=True)
class Sample:
    """A decision that led to success."""

    state: State
    choice: int
    gain: float
    """R_t, the discounted return that came of it."""


def episode(trajectory: Trajectory) -> Episode:
    """What a trajectory says; what was read of an observation when it was acted on is taken from there."""
    read = [(step.decision.extras.get("state"), step.observation) for step in trajectory.steps]
    return Episode(
        states=tuple(state_of(observation) if state is None else state for state, observation in read),
        choices=tuple(chosen(step) for step in trajectory.steps),
        rewards=tuple(reward(step) for step in trajectory.steps),
        durations=tuple(duration(step) for step in trajectory.steps),
        group=trajectory.seed,
    )


class Successes:
    """The newest successful episodes, at most `per_task` of each task.

    A sample is drawn by drawing a task and then one of its decisions, so that a task solved once is heard as often as
    one that is solved always.
    """

    def __init__(self, per_task: int) -> None:
        self.per_task = per_task
        self._kept: dict[str, deque[tuple[Sample, ...]]] = {}

    def __len__(self) -> int:
        """Number of episodes."""
        return sum(map(len, self._kept.values()))

    def add(self, task: str, won: Episode, gamma: float) -> None:
        """Keep an episode with its returns, R_t = r_t + gamma^(k_t) R_(t+1)."""
        samples, gain = deque[Sample](), 0.0
        for t in reversed(range(len(won))):
            gain = won.rewards[t] + gamma ** won.durations[t] * gain
            samples.appendleft(Sample(won.states[t], won.choices[t], gain))
        self._kept.setdefault(task, deque(maxlen=self.per_task)).append(tuple(samples))

    def draw(self, count: int) -> list[Sample]:
        """With replacement, by torch's generator."""
        tasks = [[sample for won in kept for sample in won] for kept in self._kept.values()]
        first = torch.randint(len(tasks), (count,)).tolist()
        second = torch.rand(count).tolist()
        return [tasks[task][int(share * len(tasks[task]))] for task, share in zip(first, second, strict=True)]

    def state(self) -> dict[str, Any]:
        """For a checkpoint: equal states stand in it once."""
        numbers: dict[int, int] = {}
        states: list[tuple[torch.Tensor, ...]] = []

        def number(state: State) -> int:
            if id(state) not in numbers:
                numbers[id(state)] = len(states)
                states.append(state.tensors())
            return numbers[id(state)]

        kept = {
            task: [[(number(sample.state), sample.choice, sample.gain) for sample in won] for won in episodes]
            for task, episodes in self._kept.items()
        }
        return {"states": states, "kept": kept}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; the bound stays this one's."""
        states = [State.of(tensors) for tensors in state["states"]]
        self._kept = {
            task: deque(
                (tuple(Sample(states[number], choice, gain) for number, choice, gain in won) for won in episodes),
                maxlen=self.per_task,
            )
            for task, episodes in state["kept"].items()
        }


def decisions(episodes: Sequence[Episode]) -> tuple[list[State], list[int]]:
    """All states and choices, one after the other."""
    return [s for e in episodes for s in e.states], [c for e in episodes for c in e.choices]
