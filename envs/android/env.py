"""The phone as a Gymnasium environment: the agent's text in, prompt and screenshot out."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agentlab_runner.envs.android import prompts
from agentlab_runner.envs.android.actions import Action, ActionType, AitwParser, Point
from agentlab_runner.envs.android.device import DeviceLost, DeviceUnavailable, Key, NotTyped, PhoneDevice, TaskSpec
from agentlab_runner.envs.android.evaluators import Evaluator, NotEvaluated
from agentlab_runner.envs.android.task_source import TaskSource
from agentlab_runner.envs.spaces import AnyText

Observation = dict[str, Any]
View = Literal["pixels", "tree", "both"]

TAP_SQUARED_PIXELS = 10
"""Touch and lift closer than this squared distance are a tap, farther a swipe (released)."""
WHITE_SHARE = 2.3e6 / (1080 * 2280)
"""A screen with a larger share of near-white pixels has not loaded yet (released: 2.3 M pixels of 1080 x 2280)."""
WHITE_TRIES = 5

_KEYS = {ActionType.GoBack: Key.BACK, ActionType.GoHome: Key.HOME, ActionType.Enter: Key.ENTER}
_ENDS = (ActionType.TaskComplete, ActionType.TaskImpossible)


class AndroidEnv(gymnasium.Env[Observation, str]):
    """A phone and a task in words; reward 1 and the end when the task is done, else 0.

    An observation holds `text` (the prompt: last actions, goal and, on request, the screen's elements) and, unless
    `observation` is `tree`, `image` (the screenshot, uint8 [H, W, 3]). An action is the agent's raw utterance.

    `reset(options={"episode": i})` takes the i-th task under `sequential` sampling (without it: the seed-th, and
    without a seed the next one); `options["task"]` names its template. Its info holds `task` (template), `goal`,
    `level`.
    The info of a step holds
        success: bool;
        parsed: the canonical text of the action, None if the utterance was unparsable, and `parse_failed`;
        stop: None while the episode goes on, then `success`, `failure`, `horizon` or `device_lost`;
        reason: a sentence when the stop is `device_lost` or the phone cannot type the text, else "";
        marks: what to draw on the screenshot the action was chosen from.
    A phone that goes away, or a judge that does not answer, truncates the episode with `device_lost` and the last good
    observation: nothing was learnt of the task, so it counts neither as success nor as failure.

    Args:
        device: the phone, or a partial that makes one when called with `worker`.
        evaluator: says whether the task is done.
        parser: reads utterances.
        task_set: `general`, `webshop`, `all`, or a text file with one goal a line (which needs a judge).
        split: `train` or `test`.
        sampling: `random` or `sequential`.
        templates: names of the templates to play; all of the set if empty.
        horizon: steps after which the episode is truncated; None is 10 for `general`, else 20 (AitW).
        released_horizon: the release's off-by-one: the last step of the horizon is not executed.
        observation: `pixels`, `tree` or `both`.
        history: how many of the last actions the prompt shows.
        prompt_end: written after the goal (the release: `</s>`).
        white_wait: seconds between two looks at a screen that is still mostly white (the release: 5).
        worker: which of the parallel environments this is; phones given as a list are shared out by it.

    `metadata["blocking"]` is true for a phone whose calls wait for an answer (adb): step many of them in threads.

    Raises:
        ValueError: an argument is not one of its choices, the task file is missing or empty, or the phone cannot tell
            success and the evaluator asks it to.
        DeviceUnavailable: there is no such phone; from `reset`, when a lost phone did not come back.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        device: PhoneDevice | Callable[..., PhoneDevice],
        evaluator: Evaluator,
        parser: AitwParser,
        task_set: str = "general",
        split: str = "train",
        sampling: str = "random",
        templates: Sequence[str] = (),
        horizon: int | None = None,
        released_horizon: bool = False,
        observation: View = "pixels",
        history: int = 1,
        prompt_end: str = "",
        white_wait: float = 0.0,
        worker: int = 0,
        render_mode: str | None = "rgb_array",
    ) -> None:
        if observation not in get_args(View):
            raise ValueError(f"unknown observation {observation!r}; choose one of {', '.join(get_args(View))}")
        if horizon is not None and horizon < 1:
            raise ValueError(f"horizon is {horizon}; an episode needs at least 1 step")
        self.tasks = TaskSource(task_set, split, sampling, templates)
        if self.tasks.from_file and evaluator.needs_template:
            raise ValueError(
                f"task_set={task_set} holds goals in words, which no program can check; use env/evaluator=judge"
            )
        self.parser = parser
        self.evaluator = evaluator
        self.horizon = horizon or self.tasks.horizon
        self.released_horizon = released_horizon
        self.view = observation
        self.history = history
        self.prompt_end = prompt_end
        self.white_wait = white_wait
        self.render_mode = render_mode
        self.device: PhoneDevice = device(worker=worker) if callable(device) else device
        if evaluator.needs_template and not getattr(self.device, "judges", True):
            self.device.close()
            raise ValueError("a real phone cannot tell whether a task is done; use env/evaluator=judge")
        self.metadata = {**self.metadata, "blocking": getattr(self.device, "blocking", False)}
        self.task: TaskSpec | None = None
        self._actions: list[Action] = []
        self._ended = True
        self._screenshot = self.device.screenshot()
        shown: dict[str, spaces.Space[Any]] = {"text": AnyText(1 << 16)}
        if observation != "tree":
            shown["image"] = spaces.Box(0, 255, self._screenshot.shape, np.uint8)
        self.observation_space = spaces.Dict(shown)
        self.action_space = AnyText(1 << 12)

    def check(self) -> None:
        """Ask once whether what judges is there; raises ConnectionError if it is not."""
        if ask := getattr(self.evaluator, "check", None):
            ask()

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        asked = options or {}
        self.task = self.tasks.choose(self.np_random, asked.get("episode", seed), asked.get("task"))
        self._actions = []
        self._ended = False
        device_seed = int(self.np_random.integers(2**31))
        try:
            self._observation = self._start(device_seed)
        except DeviceLost:
            try:
                self._observation = self._start(device_seed)
            except DeviceLost as lost:
                raise DeviceUnavailable(str(lost)) from lost
        return self._observation, {"task": self.task.template, "goal": self.task.goal, "level": self.task.level}

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if self._ended or self.task is None:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset before the next step")
        if not isinstance(action, str):
            raise ValueError(f"an action is the agent's text, not {type(action).__name__} {action!r}")
        parsed = self.parser.parse(action)
        done = parsed or self.parser.fallback
        self._actions.append(done)
        last = len(self._actions) == self.horizon
        skipped = last and self.released_horizon
        success, stop, reason = False, None, ""
        try:
            if not skipped:
                reason = self._execute(done)
            before, self._screenshot = self._screenshot, self._look()
            success = self.evaluator.success(self.device, self.task, before, self._screenshot)
            self._observation = self._observe()
        except (DeviceLost, NotEvaluated) as lost:
            stop, reason = "device_lost", str(lost)
        if success:
            stop = "success"
        elif stop is None and done.kind in _ENDS and not skipped:
            stop = "failure"
        elif stop is None and last:
            stop = "horizon"
        self._ended = stop is not None
        info = {
            "success": success,
            "parsed": None if parsed is None else self.parser.render(parsed),
            "parse_failed": parsed is None,
            "stop": stop,
            "reason": reason,
            "marks": _marks(done, self.device.screen),
        }
        terminated, truncated = stop in ("success", "failure"), stop in ("horizon", "device_lost")
        return self._observation, float(success), terminated, truncated, info

    def render(self) -> NDArray[np.uint8]:
        """The last screenshot, uint8 [H, W, 3]."""
        return self._screenshot

    def close(self) -> None:
        self.device.close()

    def _start(self, seed: int) -> Observation:
        self.device.reset(None if self.tasks.from_file else self.task, seed)
        self._screenshot = self._look()
        return self._observe()

    def _look(self) -> NDArray[np.uint8]:
        """A screenshot, taken again while the screen is mostly white."""
        image = self.device.screenshot()
        for _ in range(WHITE_TRIES - 1):
            if (image[::4, ::4] > 240).all(axis=2).mean() <= WHITE_SHARE:
                break
            time.sleep(self.white_wait)
            image = self.device.screenshot()
        return image

    def _observe(self) -> Observation:
        assert self.task is not None
        text = prompts.prompt(self.task.goal, self._actions, self.parser, self.history, self.prompt_end)
        if self.view != "pixels":
            listed = prompts.elements(self.device.ui_tree(), self.device.screen, self.parser.point)
            text = f"{text} Screen:\n{listed}"
        return {"text": text} if self.view == "tree" else {"text": text, "image": self._screenshot}

    def _execute(self, action: Action) -> str:
        """Do it; a sentence where the phone cannot."""
        if action.kind is ActionType.DualPoint:
            x0, y0 = _pixel(action.touch, self.device.screen)
            x1, y1 = _pixel(action.lift, self.device.screen)
            if (x1 - x0) ** 2 + (y1 - y0) ** 2 < TAP_SQUARED_PIXELS:
                self.device.tap(x0, y0)
            else:
                self.device.swipe(x0, y0, x1, y1)
        elif action.kind is ActionType.Type:
            try:
                self.device.type_text(action.text)
            except NotTyped as refusal:
                return str(refusal)
        elif action.kind in _KEYS:
            self.device.keyevent(_KEYS[action.kind])
        return ""


def _pixel(point: Point, screen: tuple[int, int]) -> tuple[int, int]:
    """(x, y) of a (y, x) fraction, clipped to the screen."""
    y, x = point
    if not (0 <= x <= 1 and 0 <= y <= 1):
        warnings.warn(f"point (y, x) = {point} lies outside the screen and was clipped to it", stacklevel=2)
    width, height = screen
    return min(max(int(x * width), 0), width - 1), min(max(int(y * height), 0), height - 1)


def _marks(action: Action, screen: tuple[int, int]) -> list[dict[str, Any]]:
    """What to draw on the screenshot the action was chosen from; coordinates in fractions of the screen."""
    match action.kind:
        case ActionType.DualPoint:
            (y0, x0), (y1, x1) = action.touch, action.lift
            if ((x1 - x0) * screen[0]) ** 2 + ((y1 - y0) * screen[1]) ** 2 < TAP_SQUARED_PIXELS:
                return [{"kind": "tap", "x": x0, "y": y0}]
            return [{"kind": "swipe", "x0": x0, "y0": y0, "x1": x1, "y1": y1}]
        case ActionType.Type:
            return [{"kind": "text", "text": action.text}]
        case ActionType.GoBack | ActionType.GoHome | ActionType.Enter:
            return [{"kind": "key", "text": _KEYS[action.kind].name.lower()}]
        case ActionType.TaskComplete | ActionType.TaskImpossible:
            return [{"kind": "end", "text": action.kind.name}]
    return []
