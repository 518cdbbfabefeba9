"""Solved episodes as turns of a conversation, to stand before the first observation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab_runner.agents.direct import prompts
from agentlab_runner.agents.llm.chat.thoughts import aloud
from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import Parser
from agentlab_runner.runners.run.episodes import load_episodes, sets_of
from agentlab_runner.runners.types import Step, Trajectory


@dataclass(frozen=True, slots=True)
class Exemplars:
    """What stands before an episode's own turns."""

    turns: Sequence[Message] = ()
    starts: frozenset[tuple[str, int]] = frozenset()
    """Task and seed of each: who is shown how one was solved is no longer asked to solve it."""


def load(folder: str | None, count: int, thinks: bool, parser: Parser | None) -> Exemplars:
    """The first `count` successful episodes of a folder of recorded ones, or of a run, the latest set first.

    Args:
        thinks: the thoughts of episodes that have some are shown, too.
        parser: reads some of their actions, or they are of another environment; None: nobody can tell.

    Raises:
        UserError: if there are fewer, or they are of another environment.
    """
    if folder is None:
        return Exemplars()
    found = [episode for one in sets_of(Path(folder).expanduser()) for episode in load_episodes(one) if episode.success]
    if len(found) < count:
        raise UserError(
            f"{folder} holds {len(found)} successful recorded episodes and agent.exemplar_count asks for {count}; "
            "record more (eval.record), or ask for fewer"
        )
    shown = found[:count]
    turns = [message for episode in shown for message in _turns(episode, thinks)]
    said = [prompts.after_thought(turn.text) for turn in turns if turn.role == "assistant"]
    if parser is not None and said and all(parser.parse(text) is None for text in said):
        tasks = ", ".join(sorted({episode.task for episode in shown}))
        raise UserError(
            f"the environment knows none of the actions in the episodes of {folder} (tasks: {tasks}), such as "
            f"{said[0].strip()[:60]!r}; give agent.exemplars episodes of this environment, in its own action language"
        )
    return Exemplars(turns, frozenset((episode.task, episode.seed) for episode in shown))


def _turns(episode: Trajectory, thinks: bool) -> list[Message]:
    first, *others = [
        message
        for step in episode.steps
        for message in (prompts.shown(str(step.observation.get("text", ""))), prompts.said(_written(step, thinks)))
    ]
    return [prompts.headed(first, prompts.SOLVED), *others]


def _written(step: Step, thinks: bool) -> str:
    """What this agent said there; of another agent the action in words: as it was sent, or as it was called."""
    replies = {call["module"]: aloud(str(call["reply"])) for call in step.decision.extras.get("calls", ())}
    if "act" in replies:
        said = replies["act"]
        return prompts.joined(replies.get("think", ""), said) if thinks else prompts.after_thought(said).strip()
    action: Any = step.decision.action
    return action if isinstance(action, str) else str(step.info.get("parsed", action))
