"""Macro-action Overcooked as a Gymnasium environment: text, numbers or pixels in, the index of a phrase out."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agentlab_runner.envs.overcooked.kitchen import Event, Kitchen, State
from agentlab_runner.envs.overcooked.layout import MAPS, ORDERS, SIDE, TASKS
from agentlab_runner.envs.overcooked.macros import play
from agentlab_runner.envs.overcooked.views import CELL, picture, vector, vector_bound
from agentlab_runner.envs.overcooked.words import phrases, prompt
from agentlab_runner.envs.spaces import AnyText

HORIZON = 200
"""Primitive steps."""
STEP_DISCOUNT = 0.99
"""Inside a macro action, and of the episode's statistics; fixed in the original, whatever the learner's gamma."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """What events are worth; `chopped` counts for the order's ingredients alone."""

    chopped: float
    delivered: float
    wrong: float
    step: float
    """Both penalties are given as positive numbers."""

    def of(self, event: Event, dish: Sequence[str]) -> float:
        """The reward of one primitive step."""
        gain = {
            "chopped": self.chopped if event.food in dish else 0.0,
            "delivered": self.delivered,
            "wrong": -self.wrong,
        }
        return gain.get(event.kind, 0.0) - self.step


REWARDS = {"twosome": Rewards(0.2, 1.0, 0.1, 0.001), "macro_overcooked": Rewards(10.0, 200.0, 5.0, 0.1)}
"""The scale of TWOSOME's scripts, and that of the environment it comes from."""


class OvercookedEnv(gymnasium.Env[dict[str, Any], Any]):
    """One cook, one order, macro actions (TWOSOME, arXiv 2401.14151).

    An observation holds `text` (the prompt, an unfinished clause), `actions` (a phrase for each macro action; all are
    always admissible), `action_ids` (their indices), `vector` (float32, `envs.overcooked.views.vector`) and, if asked
    for, `image` (uint8 [224, 224, 3], without what is out of sight). An action is an index. A macro's reward is the sum
    of its primitive steps' with 0.99^i. Delivering the order ends the episode with success; `horizon` primitive steps
    truncate it.

    The info of `step` holds `steps` (primitive steps of this macro), `success`, `stop`, `parsed` (the phrase),
    `parse_failed` (False), `marks`, and at the end `episode_return` (sum over primitive steps of 0.99^t r_t) and
    `episode_steps`.

    Args:
        task: `tomato_salad` or `tomato_lettuce_salad`.
        room: A (open), B (parted) or C (parted with a gap).
        radius: cells the cook sees around it; 0 for the whole room.
        rewards: `twosome`, `macro_overcooked`, or four numbers: an ingredient chopped, the order delivered, the penalty
            of a wrong delivery, the penalty of a step.
        horizon: primitive steps.
        strict_original: a macro runs to its end beyond the horizon.
        image: whether observations have a picture.
        order: what is ordered instead, by the name in `layout.ORDERS`; "" for the task's own dish.
        worker: which of the parallel environments this is; nothing depends on it.

    Raises:
        ValueError: an argument is not one of its choices.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4, "one_start": True}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        task: str = "tomato_salad",
        room: str = "A",
        radius: int = 2,
        rewards: str | Sequence[float] = "twosome",
        horizon: int = HORIZON,
        strict_original: bool = False,
        image: bool = False,
        order: str = "",
        worker: int = 0,
        render_mode: str | None = "rgb_array",
    ) -> None:
        self.kitchen = make_kitchen(task, room, radius, order)
        self.rewards = reward_scale(rewards)
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}; give at least 1 primitive step")
        self.task, self.horizon, self.strict_original = task, horizon, strict_original
        self.shows_image = image
        self.render_mode = render_mode
        self.macros = self.kitchen.layout.macros
        self.actions_total = len(self.macros)
        self.action_space = spaces.Discrete(self.actions_total)
        bound = vector_bound(self.kitchen.layout)
        shown: dict[str, spaces.Space[Any]] = {
            "text": AnyText(1 << 10),
            "actions": spaces.Sequence(AnyText(100)),
            "action_ids": spaces.Sequence(spaces.Discrete(self.actions_total)),
            "vector": spaces.Box(np.zeros_like(bound), bound),
        }
        if image:
            shown["image"] = spaces.Box(0, 255, (SIDE * CELL, SIDE * CELL, 3), np.uint8)
        self.observation_space = spaces.Dict(shown)
        self._ended = True

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Every episode begins alike: nothing in this kitchen is left to chance; `options["task"]` is its own task."""
        super().reset(seed=seed)
        if (task := (options or {}).get("task", self.task)) != self.task:
            raise ValueError(f"this kitchen is built for {self.task}, not {task!r}; ask for {self.task} alone")
        self.state = self.kitchen.start()
        self._steps, self._return, self._ended = 0, 0.0, False
        goal = f"serve a salad of {' and '.join(self.kitchen.dish)}"
        return self._observe(), {"task": self.task, "goal": goal, "level": len(self.kitchen.dish)}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset before the next step")
        if not isinstance(action, int | np.integer) or not 0 <= action < self.actions_total:
            raise ValueError(
                f"{action!r} is no action of {self.task}; give an index of 0 to {self.actions_total - 1}: "
                f"{', '.join(self.macros)}"
            )
        phrase = phrases(self.kitchen, self.state)[action]
        reward, steps, delivered = 0.0, 0, False
        for after, event in play(self.kitchen, self.state, self.macros[action]):
            self.state = after
            gain = self.rewards.of(event, self.kitchen.dish)
            reward += STEP_DISCOUNT**steps * gain
            self._return += STEP_DISCOUNT ** (self._steps + steps) * gain
            steps += 1
            delivered = event.kind == "delivered"
            if self._steps + steps >= self.horizon and not self.strict_original:
                break
        self._steps += steps
        truncated = not delivered and self._steps >= self.horizon
        self._ended = delivered or truncated
        info: dict[str, Any] = {
            "steps": steps,
            "success": delivered,
            "stop": "success" if delivered else "horizon" if truncated else None,
            "parsed": phrase,
            "parse_failed": False,
            "marks": [{"kind": "text", "text": phrase}],
        }
        if self._ended:
            info |= {"episode_return": self._return, "episode_steps": self._steps}
        return self._observe(), reward, delivered, truncated, info

    def render(self) -> NDArray[np.uint8]:
        """The room from above, uint8 [224, 224, 3]."""
        return picture(self.kitchen, self.state)

    def _observe(self) -> dict[str, Any]:
        shown = {"image": picture(self.kitchen, self.state, whole=False)} if self.shows_image else {}
        return observation(self.kitchen, self.state) | shown


def observation(kitchen: Kitchen, state: State) -> dict[str, Any]:
    """Text, phrases, their indices and numbers of a state."""
    offered = phrases(kitchen, state)
    return {
        "text": prompt(kitchen, state),
        "actions": offered,
        "action_ids": tuple(range(len(offered))),
        "vector": vector(kitchen, state),
    }


def make_kitchen(task: str, room: str, radius: int, order: str = "") -> Kitchen:
    """The kitchen of a task, or of another order that its foods serve.

    Raises:
        ValueError: an argument is not one of its choices.
    """
    for name, value, known in (("task", task, tuple(TASKS)), ("room", room, MAPS), ("order", order, ("", *ORDERS))):
        if value not in known:
            raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(filter(None, known))}")
    if radius < 0:
        raise ValueError(f"radius is {radius}; give the cells the cook sees around it, or 0 for all")
    build, dish = TASKS[task]
    layout, dish = build(room), ORDERS.get(order, dish)
    missing = [food for food in dish if food not in layout.foods]
    if missing:
        raise ValueError(f"the kitchen of {task} has no {missing[0]} for {order}; set task to tomato_lettuce_salad")
    return Kitchen(layout, dish, radius)


def reward_scale(rewards: str | Sequence[float]) -> Rewards:
    """A scale by name or by its four numbers.

    Raises:
        ValueError: there is none of this name, or not four numbers.
    """
    if isinstance(rewards, str):
        if rewards not in REWARDS:
            raise ValueError(f"unknown rewards {rewards!r}; choose one of {', '.join(REWARDS)}, or give four numbers")
        return REWARDS[rewards]
    if len(rewards) != len(astuple(REWARDS["twosome"])):
        raise ValueError(f"rewards are {list(rewards)}; give four: chopped, delivered, wrong, step")
    return Rewards(*map(float, rewards))
