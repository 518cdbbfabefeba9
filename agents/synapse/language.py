"""The three ways in which an environment takes actions, and how an agent of exemplars speaks each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentlab_runner.agents.llm.programs.interpreter import calls
from agentlab_runner.agents.llm.programs.language import Refused
from agentlab_runner.agents.synapse import page
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import Parser, ProgramParser
from agentlab_runner.runners.types import Observation, Step


@dataclass(frozen=True, slots=True)
class Meant:
    """What a text asks for."""

    action: Any
    """As `env.step` receives it; a block may be a part of what was asked for, or empty."""
    fault: str = ""
    """Why the rest is not done, in words."""


class Language(Protocol):
    """Between what is written in a fence and actions."""

    api: str
    """What a model is told of it."""
    alone: bool
    """An action may be all that a task needs, so that exemplars of single steps are shown."""

    def meant(self, text: str, observation: Observation) -> Meant:
        """What a text asks for."""

    def fits(self, text: str, observation: Observation) -> bool:
        """Whether all that it acts on is there."""

    def joins(self, text: str, observation: Observation) -> bool:
        """Whether it could have been said on that page already, at the end of what was said there."""

    def written(self, step: Step) -> str | None:
        """What to write for what was done in a step; None if there are no words for it."""


class Programs:
    """Blocks of calls, written as a program."""

    alone = True

    def __init__(self, parser: ProgramParser) -> None:
        self._parser, self.api = parser, parser.program_api

    def meant(self, text: str, observation: Observation) -> Meant:
        done, fault = self._called(text)
        said: list[str] = []
        for call in done:
            if (one := self._parser.block([call])) is None:
                fault = f"{call[0]}{tuple(call[1])!r} is no call that the environment knows"
                break
            said.append(one)
        return Meant("\n".join(said), fault)

    def fits(self, text: str, observation: Observation) -> bool:
        done, fault = self._called(text)
        where = [given[0] for name, given in done if name not in ("type", "press")]
        return bool(done) and not fault and all(page.finds(state(observation), str(xpath)) for xpath in where)

    def joins(self, text: str, observation: Observation) -> bool:
        said = f"{goal(observation)} {state(observation)}"
        typed = [str(given[0]) for name, given in self._called(text)[0] if name == "type"]
        return self.fits(text, observation) and all(words in said for words in typed)

    def written(self, step: Step) -> str | None:
        """As the environment says it, who knows what the numbers of a block stood for."""
        if "program" in step.info:
            return None if step.info["program"] is None else str(step.info["program"])
        return self._parser.program(str(step.decision.action))

    def _called(self, text: str) -> tuple[list[tuple[str, Sequence[Any]]], str]:
        """The calls of a program, up to where it fails, and why it does."""
        try:
            done, fault = calls(text, self._parser.calls), ""
        except Refused as refused:
            done, fault = getattr(refused, "called", []), str(refused)
        return [(one.name, one.arguments) for one in done], fault


class Utterances:
    """One action in the environment's own words."""

    alone = False

    def __init__(self, parser: Parser) -> None:
        self._parser, self.api = parser, parser.api

    def meant(self, text: str, observation: Observation) -> Meant:
        action = self._parser.parse(text)
        if action is None:
            return Meant(text, "it is no action that the environment knows")
        return Meant(self._parser.render(action))

    def fits(self, text: str, observation: Observation) -> bool:
        return self._parser.parse(text) is not None

    def joins(self, text: str, observation: Observation) -> bool:
        return False

    def written(self, step: Step) -> str | None:
        action = self._parser.parse(str(step.decision.action))
        return None if action is None else self._parser.render(action)


class Listed:
    """One of the actions that the observation lists."""

    api = "Write one of the actions that are listed, word for word."
    alone = False

    def meant(self, text: str, observation: Observation) -> Meant:
        offered = dict(zip(observation["actions"], observation["action_ids"], strict=True))
        if text not in offered:
            return Meant(None, "it is none of the actions that are listed")
        return Meant(offered[text])

    def fits(self, text: str, observation: Observation) -> bool:
        return text in observation["actions"]

    def joins(self, text: str, observation: Observation) -> bool:
        return False

    def written(self, step: Step) -> str | None:
        offered: Mapping[Any, str] = dict(
            zip(step.observation["action_ids"], step.observation["actions"], strict=True)
        )
        return offered.get(step.decision.action)


def language(parser: Parser | None, observation: Observation) -> Language:
    """That of an environment.

    Raises:
        UserError: if it has none.
    """
    if "actions" in observation:
        return Listed()
    if parser is None or not getattr(parser, "api", ""):
        raise UserError(
            "the observation lists no `actions` and the environment has no parser that tells its language; "
            "give it either (docs/adding_an_env.md)"
        )
    if isinstance(parser, ProgramParser) and parser.calls:
        return Programs(parser)
    return Utterances(parser)


def goal(observation: Observation) -> str:
    """The words of the task; where the environment does not part them, they are among what it shows."""
    return str(observation.get("goal", ""))


def state(observation: Observation) -> str:
    """What is shown beside them."""
    return str(observation.get("state", observation.get("text", "")))
