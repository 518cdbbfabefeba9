"""MiniWoB++ in a real browser, as a Gymnasium environment: a block of primitives in, what the page shows out."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agentlab_runner.envs.browser.cdp import Lost
from agentlab_runner.envs.browser.settings import BrowserSettings
from agentlab_runner.envs.miniwob import catalog, features, primitives, words
from agentlab_runner.envs.miniwob.parser import PageParser
from agentlab_runner.envs.miniwob.stage import Done, Stage
from agentlab_runner.envs.spaces import AnyText

Observation = dict[str, Any]
Split = Literal["demonstrations", "train", "test"]
Action = Literal["program", "phrases", "utterances"]
Variant = Literal["stock", "synapse_compat"]
PageSeed = Literal["own", "browsergym"]
Reward = Literal["strict", "raw"]

SEEDS: Mapping[Split, tuple[int, int]] = {"demonstrations": (0, 1_000), "train": (1_000, 50_000),
                                          "test": (50_000, 1_000_000)}  # fmt: skip
"""Seeds of pages, from and below, of which each split draws: they have none in common."""

OBSERVED: Mapping[Action, str] = {"program": "html", "utterances": "list of elements", "phrases": "phrases"}
"""What its text shows with each form of action."""


class MiniwobEnv(gymnasium.Env[Observation, str]):
    """A task on a web page (MiniWoB++, arXiv 1802.08802) in Chromium.

    An observation holds `text` (the goal and the page, in the form that `action` asks for), `goal`, `html` (of the
    task, as Synapse's, with the numbers of elements), `elements` (JSON of what is on the page: text, kind, place,
    colour, whether the screen shows it) and, if asked for, `image` (uint8 [210, 160, 3]). With `action: phrases` what
    can be done stands in `actions`, in `action_ids` the primitives for each, and in `features` (float32 [n, d]) what
    the screen shows of the thing that each acts on (`features.NAMES`); with `action: program` the page's html without
    numbers in `state`, and in `task` what the page is called.

    An action is a block of primitives, one a line (`primitives`); one that gives none does nothing.

    `reset(options={"episode": i})` plays the i-th task in turn, `options["task"]` one by name. The seed of the page is
    drawn from those of the split, or is `options["page_seed"]`: the info of a reset has both as `restart`, and in
    `conditions` what a table of such episodes has to say: variant, observation, versions, page seeds. Success is a
    raw reward of 1; some tasks pay a part, which `info["measures"]` has as `raw`, and whether it is above nothing as
    `raw_positive`.
    The info of a step holds `success`, `parsed`, `parse_failed`, `program` (what was done in calls that find elements
    by xpaths; None where a part has no call, "" where nothing was done), `outcomes` (a primitive and why it did
    nothing, each), `raw`, `stop` (None, `success`, `failure`, `horizon`, `timeout`, or `device_lost` where the
    browser went away: the next episode has another), `reason`, `marks` and `measures`.

    Raises:
        ValueError: unknown task or choice, or no browser; before an episode begins.
        ConnectionError: at `reset`, if the browser is gone and cannot be had again.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2, "blocking": True, "keeps_task": True}  # noqa: RUF012

    def __init__(
        self,
        tasks: Sequence[str] = ("click-test",),
        split: Split = "train",
        action: Action = "program",
        parser: PageParser | None = None,
        browser: Mapping[str, Any] | None = None,
        variant: Variant = "stock",
        page_seed: PageSeed = "own",
        image: bool = False,
        reward: Reward = "strict",
        horizon: int | Literal["synapse"] = 1,
        max_episode_seconds: float | None = None,
        worker: int = 0,
        render_mode: str | None = "rgb_array",
    ) -> None:
        for name, value, choices in (
            ("split", split, get_args(Split)), ("action", action, get_args(Action)),
            ("variant", variant, get_args(Variant)), ("page_seed", page_seed, get_args(PageSeed)),
            ("reward", reward, get_args(Reward)),
        ):  # fmt: skip
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}")
        if isinstance(horizon, int) and horizon < 1:
            raise ValueError(f"horizon is {horizon}; an episode needs at least 1 step")
        self.tasks = catalog.chosen(tasks)
        if not self.tasks:
            raise ValueError("tasks is empty; name at least one, or all")
        self.split, self.action, self.page_seed, self.paid = split, action, page_seed, reward
        self.parser = parser or PageParser("block")
        self.image, self.horizon, self.seconds = image, horizon, max_episode_seconds
        self.render_mode = render_mode
        mode, flights = "test" if split == "test" else "train", self.tasks[0] in catalog.FLIGHT
        self.variant, self._pages = variant, f"miniwob {version('miniwob')}"
        self.stage = Stage(BrowserSettings(**(browser or {})), mode, flights, compat=variant == "synapse_compat")
        self._said: list[str] = []
        """What was done in this episode, in words."""
        self._offered: Mapping[str, str] = {}
        self._steps = 0
        self._ended = True
        shown: dict[str, spaces.Space[Any]] = {"text": AnyText(1 << 18), "goal": AnyText(1 << 12)}
        shown |= {"html": AnyText(1 << 18), "elements": AnyText(1 << 20)}
        if action == "program":
            shown |= {"state": AnyText(1 << 18), "task": AnyText(64)}
        if action == "phrases":
            shown |= {name: spaces.Sequence(AnyText(4096)) for name in ("actions", "action_ids")}
            row = spaces.Box(-np.inf, np.inf, (len(features.NAMES),), np.float32)
            shown["features"] = spaces.Sequence(row, stack=True)
        if image:
            shown["image"] = spaces.Box(0, 255, (self.stage.area[3], self.stage.area[2], 3), np.uint8)
        self.observation_space = spaces.Dict(shown)
        self.action_space = AnyText(1 << 14)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        asked = options or {}
        task = asked.get("task") or self.tasks[int(asked.get("episode", seed) or 0) % len(self.tasks)]
        if task not in self.tasks:
            raise ValueError(f"{task!r} is none of this environment's tasks: {', '.join(self.tasks[:8])}")
        self.number = self._page_seed(seed) if asked.get("page_seed") is None else self._own(asked["page_seed"])
        try:
            self.seen = self.stage.reset(task, self.number)
        except Lost:  # as happens to a browser between two episodes; now there is another
            self.seen = self.stage.reset(task, self.number)
        self.task, self.goal = task, str(self.seen["utterance"])
        self._said, self._steps, self._began, self._ended = [], 0, time.monotonic(), False
        begun = {"task": task, "page_seed": self.number}
        info = {**begun, "goal": self.goal, "restart": begun, "conditions": self._conditions()}
        return self._observe(), {**info, "measures": {"raw": 0.0, "raw_positive": 0.0}}

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset before the next step")
        if not isinstance(action, str):
            raise ValueError(f"an action is the agent's text, not {type(action).__name__} {action!r}")
        try:
            return self._step(action)
        except Lost as fault:
            return self._lost(action, str(fault))

    def _step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        block = primitives.read(self.parser.parse(action) or "")
        outcomes: list[Done] = []
        told: list[tuple[primitives.Primitive, ...] | None] = []
        late = False
        for number, primitive in enumerate(block or (), start=1):
            outcomes.append(self.stage.do(primitive, last=number == len(block or ())))
            told.append(self.stage.told(primitive))
            late = self.seconds is not None and time.monotonic() - self._began > self.seconds
            if self.stage.page.left or late or outcomes[-1].over:
                break
        self._steps += 1
        self._said += [phrase for phrase, one in self._offered.items() if one == action]
        left = self.stage.page.left
        if not left:
            self.seen = (outcomes[-1].seen if outcomes else None) or self.stage.observe()
        raw = float(self.seen["raw"]) if self.seen["done"] and not left else 0.0
        won = raw >= 1
        stop = "failure" if left else ("success" if won else "failure") if self.seen["done"] else None
        if stop is None:
            stop = "timeout" if late else "horizon" if self._steps >= self._longest() else None
        self._ended = stop is not None
        info = {
            "success": won,
            "parsed": None if block is None else primitives.write(block),
            "parse_failed": block is None,
            "program": self._program(told),
            "outcomes": [{"primitive": one.primitive, "fault": one.fault} for one in outcomes],
            "raw": raw,
            "stop": stop,
            "reason": f"left_page: {left}" if left else "; ".join(one.fault for one in outcomes if one.fault),
            "marks": self._marks(outcomes),
            "measures": {"raw": raw, "raw_positive": float(raw > 0)},
        }
        reward = float(won) if self.paid == "strict" else raw
        return self._observe(), reward, stop in ("success", "failure"), stop in ("horizon", "timeout"), info

    def _lost(self, action: str, why: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """The browser or the page went away: the episode says nothing, unless the page left the task by itself."""
        block, left, self._ended = primitives.read(self.parser.parse(action) or ""), self.stage.page.left, True
        info: dict[str, Any] = {
            "success": False,
            "parsed": None if block is None else primitives.write(block),
            "parse_failed": block is None,
            "program": None,
            "outcomes": [],
            "raw": 0.0,
            "stop": "failure" if left else "device_lost",
            "reason": f"left_page: {left}" if left else why,
            "marks": [],
            "measures": {"raw": 0.0, "raw_positive": 0.0},
        }
        return self._shown, 0.0, bool(left), not left, info

    @property
    def offered(self) -> Mapping[str, str]:
        """The phrases of now, and the primitives for each."""
        return self._offered

    def render(self) -> NDArray[np.uint8]:
        """The task's area, uint8 [210, 160, 3], of flight tasks [667, 375, 3]."""
        return self.stage.page.screenshot(self.stage.area)

    def close(self) -> None:
        self.stage.close()

    def _conditions(self) -> dict[str, str]:
        first, end = next(ends for ends in SEEDS.values() if ends[0] <= self.number < ends[1])
        return {
            "variant": self.variant,
            "observation": OBSERVED[self.action] + (" and picture" if self.image else ""),
            "pages": self._pages,
            "browser": self.stage.page.browser.version,
            "page seeds": f"{first:,} to {end - 1:,}" if self.page_seed == "own" else "BrowserGym's",
            "success": "raw reward of 1",
        }

    def _nothing(self) -> NDArray[np.uint8]:
        """Black: a task that is over covers itself, and what it left for is not shown."""
        return np.zeros((self.stage.area[3], self.stage.area[2], 3), np.uint8)

    def _page_seed(self, seed: int | None) -> int:
        if self.page_seed == "browsergym":  # as its task draws it from the environment's seed
            return int(np.random.RandomState(seed).randint(0, 1_000_000))
        first, end = SEEDS[self.split]
        return first + int(self.np_random.integers(end - first))

    def _longest(self) -> int:
        return catalog.STEPS.get(self.task, 1) if isinstance(self.horizon, str) else self.horizon

    def _own(self, number: Any) -> int:
        """A page's seed that was asked for, if it is of this environment's side."""
        if type(number) is not int or not 0 <= number < SEEDS["test"][1]:
            raise ValueError(f"page_seed is {number!r}; a page has a whole number from 0 to {SEEDS['test'][1] - 1:,}")
        if self.page_seed == "own" and (number >= SEEDS["test"][0]) != (self.split == "test"):
            side = f"{SEEDS['test'][0]:,} and above" if self.split == "test" else f"below {SEEDS['test'][0]:,}"
            raise ValueError(
                f"page_seed {number} is not of split={self.split}, whose pages are {side}: what is tried on pages for "
                "testing begins nowhere else, and nothing else begins there"
            )
        return number

    def _program(self, told: Sequence[Sequence[primitives.Primitive] | None]) -> str | None:
        """What was done as a program; None if a part of it has no call, "" if nothing was done."""
        calls = [call for one in told for call in one or ()]
        if None in told or not calls:
            return None if None in told else ""
        return self.parser.program(primitives.write(calls))

    def _observe(self) -> Observation:
        elements = self.seen["elements"]
        shown: Observation = {"goal": self.goal, "html": self.seen["html"], "elements": words.as_json(elements)}
        shown["text"] = self._text(elements)
        if self.action == "program":
            shown |= {"state": words.without_numbers(self.seen["html"]), "task": self.task}
        if self.action == "phrases":
            offers = words.offers(self.goal, elements)
            self._offered = {offer.phrase: offer.action for offer in offers}
            shown |= {"actions": tuple(self._offered), "action_ids": tuple(self._offered.values())}
            shown["features"] = features.table(self.goal, offers)
        if self.image:
            shown["image"] = self._nothing() if self.seen["done"] or self.stage.page.left else self.render()
        self._shown = shown
        return shown

    def _text(self, elements: Sequence[words.Element]) -> str:
        match self.action:
            case "phrases":
                done = f"\nI have: {'; '.join(self._said)}." if self._said else ""
                return f"Task: {self.goal}{done}\nTo do this, I"
            case "utterances":
                return f"Task: {self.goal}\nPage:\n{words.listing(elements)}"
            case _:
                return f"Task: {self.goal}\nState:\n{words.without_numbers(self.seen['html'])}"

    def _marks(self, outcomes: Sequence[Done]) -> list[dict[str, Any]]:
        _, _, width, height = self.stage.area
        taps = [{"kind": "tap", "x": one.at[0] / width, "y": one.at[1] / height} for one in outcomes if one.at]
        return [*taps, {"kind": "text", "text": "; ".join(one.primitive for one in outcomes)[:200]}]
