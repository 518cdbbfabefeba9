"""Recorded web tasks as a Gymnasium environment: a step shows a page, scores what is said, and goes on as recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import gymnasium
from gymnasium import spaces

from agentlab_runner.envs.mind2web.actions import f1, quoted, read, same, words
from agentlab_runner.envs.mind2web.parser import ElementParser
from agentlab_runner.envs.mind2web.samples import MADE, Sample, Step, load
from agentlab_runner.envs.mind2web.settings import Split
from agentlab_runner.envs.spaces import AnyText

Observation = dict[str, Any]
History = Literal["truth", "predicted"]
Order = Literal["listed", "drawn"]

SCORES = ("element_accuracy", "action_f1", "step_success", "step_strict")


class Mind2WebEnv(gymnasium.Env[Observation, str]):
    """A task that a person did on a web site (Mind2Web, arXiv 2306.06070); nothing is fetched and nothing happens.

    Whatever is answered, the next page is the recorded one. An observation holds `text` (task, past and page for any
    agent), and its parts: `goal`, `website`, `domain`, `subdomain`, `specifier` (those four in as many lines),
    `observation` (the page round `candidates` elements, each with its id) and `past`, a tuple of what came before:
    `observation` (round `history_candidates`), `action` and `words`. The past is what was recorded; with
    `history: predicted` it is what was shown and said.

    An action is a text with an action on an element (`actions.read`), between backticks or not.

    Scores of a step: `element_accuracy` (the element is the first that was acted on), `action_f1` (words of operation
    and value), `step_success` (operation, element and value are right), `step_strict` (so is the text, letter by
    letter). A step whose elements the ranker has not put among the first `candidates` is not asked, unless
    `rank_test` is false: it scores nothing and stands in the past as it was recorded. Where a task has no other step,
    its last one is shown, and scores nothing. Measures of an episode: the means of these scores over all its steps, the
    shares of those `not_asked` and of those without a `no_positive`, and how many `steps` there are.

    `reset(options={"episode": i})` plays the i-th task of the split (`order: listed`) or one drawn by the seed;
    `options["task"]` those of one website, by which results are shown; `options["sample"]` one by its annotation_id.
    Success is that every step is right.

    Raises:
        ValueError: unknown choice, or data that are not as they should be.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        path: str | None = None,
        split: Split = "train",
        candidates: int = 5,
        history_candidates: int = 3,
        history: History = "truth",
        rank_test: bool = True,
        order: Order = "listed",
        parser: ElementParser | None = None,
        worker: int = 0,
        render_mode: str | None = None,
    ) -> None:
        for name, value, choices in (
            ("split", split, get_args(Split)), ("history", history, get_args(History)),
            ("order", order, get_args(Order)),
        ):  # fmt: skip
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}")
        if candidates < 1 or history_candidates < 1:
            raise ValueError(f"candidates are {candidates} and {history_candidates}; a page shows at least 1")
        self.split, self.history, self.order = split, history, order
        self.candidates, self.history_candidates, self.rank_test = candidates, history_candidates, rank_test
        self.parser = parser or ElementParser()
        self.samples = load(MADE if path is None else Path(path).expanduser(), split)
        self.conditions = {
            "samples": f"{'40 made up' if path is None else 'given by path'}, {split}",
            "candidates": str(candidates),
            "history": history,
            "success": "every step's element, operation and value",
        }
        self.render_mode = render_mode
        self._ended = True
        text = AnyText(1 << 24)
        parts = ("text", "goal", "website", "domain", "subdomain", "specifier", "observation")
        turn = spaces.Dict(dict.fromkeys(("observation", "action", "words"), text))
        self.observation_space = spaces.Dict({**dict.fromkeys(parts, text), "past": spaces.Sequence(turn)})
        self.action_space = AnyText(1 << 14)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        asked = options or {}
        self.sample = self._chosen(asked)
        self._asked = [at for at, step in enumerate(self.sample.steps) if self._is_asked(step)]
        self._scored = bool(self._asked)
        self._asked = self._asked or [len(self.sample.steps) - 1]
        self._past: list[dict[str, str]] = []
        self._totals = dict.fromkeys(SCORES, 0.0)
        self._ended = False
        self._go_on()
        start = {"task": self.sample.website, "goal": self.sample.goal, "restart": {"sample": self.sample.name}}
        return self._observe(), {**start, "measures": self._measures(), "conditions": dict(self.conditions)}

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset before the next step")
        if not isinstance(action, str):
            raise ValueError(f"an action is the agent's text, not {type(action).__name__} {action!r}")
        step, said = self.recorded, quoted(action).strip()
        meant, true = read(said), read(self.truth)
        right = same(meant, true)
        scores = {
            "element_accuracy": float(meant is not None and meant.id == step.true.id),
            "action_f1": f1(words(meant), words(true)),
            "step_success": float(right),
            "step_strict": float(said == self.truth),
        }
        if not self._scored:
            scores, right = dict.fromkeys(SCORES, 0.0), False
        self._totals = {name: self._totals[name] + scores[name] for name in SCORES}
        self._past.append(self._turn(step) if self.history == "truth" else self._said(step, said))
        self._asked.pop(0)
        self._ended = not self._asked
        self._go_on()
        won = self._ended and self._totals["step_success"] == len(self.sample.steps)
        info = {
            "success": won,
            "parsed": None if meant is None else str(meant),
            "parse_failed": meant is None,
            "scores": scores,
            "measures": self._measures(),
            "stop": ("success" if won else "failure") if self._ended else None,
            "reason": "" if right else f"recorded was {self.truth_of(step)}",
            "marks": [{"kind": "text", "text": said[:200]}],
        }
        return self._observe(), scores["step_success"], self._ended, False, info

    @property
    def recorded(self) -> Step:
        """The step that is shown."""
        return self.sample.steps[min(len(self._past), len(self.sample.steps) - 1)]

    @property
    def truth(self) -> str:
        """What was recorded for the step that is shown, as an agent is to say it."""
        return self.truth_of(self.recorded)

    @staticmethod
    def truth_of(step: Step) -> str:
        return str(step.true)

    def _chosen(self, asked: Mapping[str, Any]) -> Sample:
        wanted = {"website": asked.get("task"), "name": asked.get("sample")}
        samples = [
            one for one in self.samples if all(getattr(one, key) == name for key, name in wanted.items() if name)
        ]
        if not samples:
            known = ", ".join(sorted({one.website for one in self.samples})[:8])
            named = " and ".join(f"{key} {name!r}" for key, name in wanted.items() if name)
            raise ValueError(f"the split {self.split} has no task of {named}; its websites are {known}")
        episode = asked.get("episode")
        if self.order == "drawn" or episode is None:
            return samples[int(self.np_random.integers(len(samples)))]
        return samples[int(episode) % len(samples)]

    def _is_asked(self, step: Step) -> bool:
        return not self.rank_test or step.is_ranked(self.candidates)

    def _go_on(self) -> None:
        """To the next step that is asked; those before it are past as they were recorded."""
        until = self._asked[0] if self._asked else len(self.sample.steps)
        self._past += [self._turn(step) for step in self.sample.steps[len(self._past) : until]]

    def _turn(self, step: Step) -> dict[str, str]:
        shown = step.observation(self.history_candidates)
        return {"observation": shown, "action": self.truth_of(step), "words": step.words}

    def _said(self, step: Step, said: str) -> dict[str, str]:
        return {"observation": step.observation(self.candidates), "action": said, "words": ""}

    def _measures(self) -> dict[str, float]:
        steps = self.sample.steps
        shares = {
            "not_asked": sum(not self._is_asked(step) for step in steps),
            "no_positive": sum(not step.positives for step in steps),
        }
        means = {name: total / len(steps) for name, total in {**self._totals, **shares}.items()}
        return {**means, "steps": float(len(steps))}

    def _observe(self) -> Observation:
        sample, page = self.sample, "" if self._ended else self.recorded.observation(self.candidates)
        before = "\n".join(turn["words"] or turn["action"] or "(no action)" for turn in self._past) or "None"
        return {
            "text": f"Task: {sample.goal}\nWebsite: {sample.website}\nPrevious actions:\n{before}\nPage:\n{page}",
            "goal": sample.goal,
            "website": sample.website,
            "domain": sample.domain,
            "subdomain": sample.subdomain,
            "specifier": sample.specifier,
            "observation": page,
            "past": tuple(dict(turn) for turn in self._past),
        }
