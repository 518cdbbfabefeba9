"""What can be done without knowing a game: what is listed, what a parser's own examples say, or samples of a space."""

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from agentlab_runner.runners.check.finding import NotAsked
from agentlab_runner.runners.check.trace import Choose
from agentlab_runner.runners.experiment import Parser
from agentlab_runner.runners.types import Observation

SHOWN = "such as"
"""How a line of `api` ends that examples follow."""
_NOTHING = re.compile(r"(do )?(no-?op|nothing|idle|wait|stay|none|look( around)?)", re.IGNORECASE)
_OTHERWISE = 0.2
"""Share of random actions that are any of the space where a parser's examples are known."""


def examples(api: str) -> list[str]:
    """The lines that follow one that ends in `such as`, up to one that ends in a colon; what an example is said to do,
    after three spaces or more, is left out."""
    found: list[str] = []
    taking = False
    for line in api.splitlines():
        if line.rstrip().endswith(SHOWN):
            taking = True
        elif line.rstrip().endswith(":"):
            taking = False
        elif taking and line.strip():
            found.append(re.split(r" {3,}", line.strip())[0])
    return found


def forms(parser: Parser) -> list[str]:
    """An action of every class that the parser's examples lead to, as `env.step` receives it."""
    known: dict[int, str] = {}
    for example in examples(str(getattr(parser, "api", ""))):
        action = parser.parse(example)
        if action is None or not 0 <= parser.label(action) < len(parser.labels):
            continue
        known.setdefault(parser.label(action), example)
        name = parser.labels[parser.label(action)]
        for label, other in enumerate(parser.labels):
            candidate = _replaced(example, name, other)
            meant = None if candidate is None else parser.parse(candidate)
            if candidate is not None and meant is not None and parser.label(meant) == label:
                known.setdefault(label, candidate)
    return [known[label] for label in sorted(known)]


class Actions:
    """Players that know nothing.

    Args:
        space: the environment's action space, or None.
        parser: that comes with the environment, or None.
    """

    def __init__(self, space: Any, parser: Parser | None) -> None:
        self._space = copy.deepcopy(space)
        self._forms: Sequence[Any] = forms(parser) if parser is not None else ()
        self._idle = self._doing_nothing(parser)

    def random(self, seed: int) -> Choose:
        """Any action there is."""
        rng = np.random.default_rng(seed)
        if self._space is not None:
            self._space.seed(seed % 2**31)

        def choose(observation: Observation, _: int) -> Any:
            if "action_ids" in observation:
                return self._listed(observation, int(rng.integers(2**31)))
            if self._forms and (self._space is None or rng.random() > _OTHERWISE):
                return self._forms[int(rng.integers(len(self._forms)))]
            return self._sample()

        return choose

    def idle(self) -> Choose:
        """Nothing, again and again: the listed action or the parser's class that is called so, else the first.

        It is the same in every episode, so that episodes differ by the environment alone.
        """
        first: list[Any] = []
        if self._space is not None:
            self._space.seed(0)

        def choose(observation: Observation, _: int) -> Any:
            if "action_ids" in observation:
                names = [str(name) for name in observation.get("actions", ())]
                return self._listed(observation, next((n for n, one in enumerate(names) if _NOTHING.fullmatch(one)), 0))
            if self._forms:
                return self._idle
            if not first:
                first.append(self._sample())
            return first[0]

        return choose

    def _doing_nothing(self, parser: Parser | None) -> Any:
        if parser is None or not self._forms:
            return None
        named = [form for form in self._forms if _NOTHING.fullmatch(parser.labels[parser.label(parser.parse(form))])]
        return (named or self._forms)[0]

    def _listed(self, observation: Observation, number: int) -> Any:
        ids = observation["action_ids"]
        if len(ids) == 0:
            raise NotAsked("an observation listed no action at all")
        return ids[number % len(ids)]

    def _sample(self) -> Any:
        if self._space is None:
            raise NotAsked("there is no action_space, no list of actions and no parser to take actions from")
        return self._space.sample()


def _replaced(example: str, name: str, other: str) -> str | None:
    """An example with another class in the place of its own."""
    place = re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", example)
    return None if place is None else example[: place.start()] + other + example[place.end() :]
