"""Any registered BrowserGym task (arXiv 2412.05467) as a Gymnasium environment of this house: a call in, a page out."""

import base64
import difflib
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from PIL import Image

from agentlab_runner.envs.browsergym import words
from agentlab_runner.envs.browsergym.actions import CallParser, read
from agentlab_runner.envs.browsergym.client import Client, Gone, Refused, Seen
from agentlab_runner.envs.spaces import AnyPicture, AnyText

Observation = dict[str, Any]
Action = Literal["code", "phrases"]
Reward = Literal["strict", "raw"]


class BrowserGymEnv(gymnasium.Env[Observation, str]):
    """A task of BrowserGym, which lives in a process of its own with its own Python.

    An observation holds `text` (goal, open tabs, the accessibility tree with bids, the last action's error), `goal`
    and, if asked for, `html` (pruned, with bids) and `image` (uint8 [H, W, 3]). With `action: phrases` what can be done
    stands in `actions`, and in `action_ids` the call for each. An action is a text in which the parser finds one call.

    `reset(seed=s)` gives BrowserGym's own seed `s`; `options={"episode": i}` plays the i-th task in turn,
    `options["task"]` one by name. Success is an ended episode with a raw reward of 1: the page's own for MiniWoB, where
    BrowserGym pays 1 for a part, and BrowserGym's elsewhere. `info["measures"]` has `raw` and `raw_positive`.
    The info of a step holds `success`, `parsed`, `parse_failed`, `raw`, `stop` (None, `success`, `failure`, `horizon`
    or `device_lost`: the process or its browser went away, and the next episode has another), `reason`, `marks` and
    `measures`.

    Raises:
        ValueError: unknown choice, package or task, or neither BrowserGym nor a browser is here.
        ConnectionError: at `reset` and `check`, if its process does not come up or the task's page is not there.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2, "blocking": True}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        tasks: Sequence[str] = ("browsergym/miniwob.click-test",),
        package: str = "miniwob",
        task_kwargs: Mapping[str, Any] | None = None,
        python: str | None = None,
        executable: str | None = None,
        action: Action = "code",
        parser: CallParser | None = None,
        html: bool = False,
        image: bool = False,
        reward: Reward = "strict",
        horizon: int = 10,
        patience: float = 60.0,
        worker: int = 0,
        render_mode: str | None = "rgb_array",
    ) -> None:
        for name, value, choices in (("action", action, get_args(Action)), ("reward", reward, get_args(Reward))):
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}")
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}; an episode needs at least 1 step")
        self.tasks, self.package = tuple(tasks), package
        if not self.tasks:
            raise ValueError("tasks is empty; name at least one, such as browsergym/miniwob.click-test")
        self.parser = parser or CallParser()
        self.action, self.paid, self.horizon, self.render_mode = action, reward, horizon, render_mode
        self.task_kwargs = dict(task_kwargs or {})
        self.show = [name for name, wanted in (("html", html), ("image", image)) if wanted]
        self._process = (python, package, self.parser.subsets, executable, patience)
        self.client = Client(*self._process)
        self._chosen: Sequence[str] = ()
        self._said: list[str] = []
        """What was done in this episode, in words."""
        self._offered: Mapping[str, str] = {}
        self._ended = True
        shown: dict[str, spaces.Space[Any]] = {"text": AnyText(1 << 20), "goal": AnyText(1 << 16)}
        if action == "phrases":
            shown |= {name: spaces.Sequence(AnyText(1 << 13)) for name in ("actions", "action_ids")}
        if html:
            shown["html"] = AnyText(1 << 26)
        if image:
            shown["image"] = AnyPicture()
        self.observation_space = spaces.Dict(shown)
        self.action_space = AnyText(1 << 14)

    def check(self) -> None:
        """Ask once whether the process comes up and has the tasks."""
        self.client.opened()
        self._chosen = self._chosen or _chosen(self.tasks, self.client.tasks)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        if self.client.lost:
            self.client = Client(*self._process)
        self.check()
        asked = options or {}
        task = asked.get("task") or self._chosen[int(asked.get("episode", seed) or 0) % len(self._chosen)]
        if task not in self._chosen:
            raise ValueError(f"{task!r} is none of this environment's tasks: {', '.join(self._chosen[:8])}")
        number = int(self.np_random.integers(1 << 32)) if seed is None else seed % (1 << 32)
        request = {"task": task, "seed": number, "task_kwargs": self.task_kwargs, "show": self.show}
        try:
            self.seen: Seen = self.client.ask("reset", **request)
        except Gone:
            self.client = Client(*self._process)  # which may have died since the last episode
            self.seen = self.client.ask("reset", **request)
        self.goal, self._raw = str(self.seen["goal"]), 0.0
        self._said, self._steps, self._ended = [], 0, False
        succeeds = "raw reward of 1" if self.package == "miniwob" else "BrowserGym's reward of 1"
        conditions = {"tasks": f"BrowserGym {self.client.version}", "observation": "tree", "success": succeeds}
        return self._observe(), {"task": task, "goal": self.goal, "seed": number, "conditions": conditions}

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset before the next step")
        if not isinstance(action, str):
            raise ValueError(f"an action is the agent's text, not {type(action).__name__} {action!r}")
        parsed = self.parser.parse(action)
        call = None if parsed is None else read(parsed, self.parser.labels)
        stop, reason = None, ""
        if call is None:
            self.seen = {**self.seen, "error": "there was no call in what was said"}
        else:
            try:
                self.seen = self.client.ask("step", call=[call.name, list(call.arguments)], show=self.show)
                self._raw = float(self.seen["raw"])
                stop = "horizon" if self.seen["truncated"] else None
                stop = ("success" if self._raw >= 1 else "failure") if self.seen["terminated"] else stop
                reason = str(self.seen["error"])[:500]
            except Gone as fault:
                stop, reason = "device_lost", str(fault)
        self._steps += 1
        self._said += [phrase for phrase, one in self._offered.items() if one == parsed]
        if stop is None and self._steps >= self.horizon:
            stop = "horizon"
        self._ended = stop is not None
        won = stop == "success"
        info = {
            "success": won,
            "parsed": parsed,
            "parse_failed": parsed is None,
            "raw": self._raw,
            "stop": stop,
            "reason": reason,
            "marks": [{"kind": "text", "text": (parsed or "")[:200]}],
            "measures": {"raw": self._raw, "raw_positive": float(self._raw > 0)},
        }
        reward = float(won) if self.paid == "strict" else self._raw
        return self._observe(), reward, stop in ("success", "failure"), stop in ("horizon", "device_lost"), info

    def render(self) -> np.ndarray | None:
        """The page as it was last shown, uint8 [H, W, 3]; None without `image`."""
        return self._picture() if "image" in self.show else None

    def close(self) -> None:
        self.client.close()

    def _observe(self) -> Observation:
        text = words.page(self.seen)
        shown: Observation = {"goal": self.goal, **{name: self.seen[name] for name in self.show if name != "image"}}
        if self.action == "phrases":
            self._offered = words.phrases(self.goal, self.seen["elements"])
            shown |= {"actions": tuple(self._offered), "action_ids": tuple(self._offered.values())}
            done = f"\n\nI have: {'; '.join(self._said)}." if self._said else ""
            text = f"{text}{done}\n\nTo do this, I"
        if "image" in self.show:
            shown["image"] = self._picture()
        return {"text": text, **shown}

    def _picture(self) -> np.ndarray:
        with Image.open(io.BytesIO(base64.b64decode(self.seen["image"]))) as picture:
            return np.asarray(picture.convert("RGB"))


def _chosen(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Tasks by name; a `*` at the end of a name stands for several.

    Raises:
        Refused: if one is none.
    """
    found: dict[str, None] = {}
    for name in names:
        several = [one for one in known if one == name or (name.endswith("*") and one.startswith(name[:-1]))]
        if not several:
            near = difflib.get_close_matches(name, known, 3)
            meant = f"did you mean {', '.join(near)}?" if near else f"there are {len(known)}, such as {known[-1]}"
            raise Refused(f"BrowserGym has no task {name!r}; {meant} (env.package says whose tasks are loaded)")
        found |= dict.fromkeys(several)
    return tuple(found)
