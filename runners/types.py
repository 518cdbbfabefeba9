"""The nouns that flow through the house: observation, decision, step, trajectory, metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NotRequired, TypedDict, TypeGuard

import numpy as np
from numpy.typing import NDArray

Observation = Mapping[str, Any]
"""What an environment shows: `{"text": str, "image": uint8 [H, W, 3], ...}`; an adapter documents its own keys."""


class Phrases(TypedDict):
    """An observation that lists what can be done now; an action is one of `action_ids`."""

    text: str
    """Best ends in an unfinished clause that every phrase continues."""
    actions: Sequence[str]
    """None twice, none empty."""
    action_ids: Sequence[Any]
    """For each phrase what `env.step` receives: its index among all actions, or what else an action is."""
    vector: NotRequired[NDArray[np.float32]]
    """The same state in numbers."""
    goal: NotRequired[str]
    """What is asked for, in words; part of `text`."""
    features: NotRequired[NDArray[np.float32]]
    """[len(actions), d]: a row for each phrase, of what the screen shows of the thing it acts on; d never changes."""


def lists_phrases(observation: Observation) -> TypeGuard[Phrases]:
    """Whether an agent that chooses among phrases can act on it."""
    return "actions" in observation and "action_ids" in observation


class StopReason(StrEnum):
    """Why an episode ended."""

    SUCCESS = "success"
    FAILURE = "failure"          # the environment ended the episode and the task was not done
    HORIZON = "horizon"          # truncated by the step limit
    TIMEOUT = "timeout"          # truncated by the clock
    GAVE_UP = "gave_up"          # the agent stopped (`Decision.give_up`)
    DEVICE_LOST = "device_lost"  # the device or simulator went away
    ERROR = "error"              # the task or its judge broke
    CANCELLED = "cancelled"      # a person said no

    @property
    def counts(self) -> bool:
        """Whether such an episode says something of the policy; the others are counted apart."""
        return self not in (StopReason.DEVICE_LOST, StopReason.ERROR, StopReason.CANCELLED)


class Call(TypedDict):
    """One request to a model, as an agent that prompts puts it into `Decision.extras["calls"]`, a list of these."""

    module: str
    """Which part of the agent asked: `act`, `reflect`, ..."""
    messages: Sequence[Mapping[str, Any]]
    """`{"role", "parts"}`; a part is a text, a picture at rest (`runners.frames.Frame`, uint8 [H, W, 3]) or the name of
    one that the episode's observations or calls hold, `{"frame": NAME}` (`runners.frames.frame_name`)."""
    reply: str
    model: str
    """What the one who answered calls itself, so that a silently swapped model shows in the tables."""
    tokens_in: int
    tokens_out: int
    seconds: float
    """Of the answer that counted: retries and waiting for a slot are left out; 0 from the cache."""
    cost: float
    """In the currency of the config's prices; 0 from the cache and where there are none."""
    cached: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What an agent chose for one observation."""

    action: Any
    """Exactly what `env.step` receives."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What the learner needs later: tokens, log-probs, value. Recorded episodes keep `calls` (a list of `Call`) and
    `record` (small JSON for whoever looks at the episode)."""
    give_up: str | None = None
    """Why the agent stops here; the episode ends as GAVE_UP, and `action` goes nowhere."""


@dataclass(frozen=True, slots=True)
class Start:
    """How an episode begins."""

    number: int
    seed: int
    options: Mapping[str, Any]
    """For `env.reset`: `episode`, and `task` where one is asked for by name."""


@dataclass(frozen=True, slots=True)
class Step:
    """One observation, what was decided on it, and what came of it."""

    observation: Observation
    decision: Decision
    reward: float
    """Undiscounted, as the environment gave it."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """What the environment said of this step: `parsed` (canonical action text, None if unparsable), `marks`
    (runners/run/episodes.py), `scores` (numbers of this step by name), `measures` (of the episode so far)."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One episode."""

    steps: Sequence[Step]
    final_observation: Observation
    stop: StopReason
    success: bool
    seed: int
    task: str
    """Name of the task template, for per-task tables."""
    goal: str = ""
    level: int = 0
    """Difficulty of the task, 1 upwards; 0 where the environment has no levels."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What the environment's last info calls the episode's `measures`, numbers by name; evaluations average each."""
    number: int = -1
    """What `Agent.begin` called the episode."""
    reason: str = ""
    """Why it stopped, in words, where somebody said so: the agent that gave up, the judge that broke."""
    restart: Mapping[str, Any] = field(default_factory=dict)
    """Options under which `env.reset` begins this very episode again, whatever the seed, as `info["restart"]` of its
    reset said; empty: its task and seed do."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Under what it was played, as `info["conditions"]` of its reset said: a variant, the version of a page or a
    browser, what counts as success. Tables of its evaluation begin with them."""

    @property
    def total_reward(self) -> float:
        return sum(step.reward for step in self.steps)

    @property
    def agent_steps(self) -> int:
        """Decisions, those of every agent counted."""
        return len(self.steps)

    @property
    def calls(self) -> Sequence[Call]:
        """What was asked of models."""
        return [call for step in self.steps for call in step.decision.extras.get("calls", ())]

    @property
    def episode_return(self) -> float:
        """What the environment calls the episode's return (`episode_return` of its last info), else `total_reward`."""
        stated = self.steps[-1].info.get("episode_return") if self.steps else None
        return self.total_reward if stated is None else float(stated)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges."""

    counts: tuple[int, ...]
    edges: tuple[float, ...]
    """One longer than `counts`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image worth looking at, kept as PNG in the run's media folder."""

    pixels: NDArray[np.uint8]
    """[H, W, 3]."""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Lines over a common axis."""

    x: tuple[float, ...]
    lines: Mapping[str, tuple[float, ...]]
    """Each as long as `x`; NaN is a gap."""
    x_label: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows worth reading."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]
    """Each as long as `columns`."""


Metrics = Mapping[str, float | Histogram | Picture | Series | Table]
"""What learning or evaluation reports, by name (`eval/success`, `causal/acc`, ...)."""
