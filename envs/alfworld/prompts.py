"""What the agent reads: the goal, what happened, what it sees if it has no eyes, and the form of its answer."""

from collections.abc import Sequence
from typing import Literal

from agentlab_runner.envs.alfworld.commands import Format

Style = Literal["full", "short"]
Event = tuple[str, str]
"""A command and what was answered."""

_ROLE = (
    "You are a robot in a house and act by text commands. Look for what the task asks for, open what is closed, carry "
    "one thing at a time. A basin cleans, a microwave heats and a fridge cools what you hold."
)
_FORMS = {
    "thoughts": '{"thoughts": "where things are and what to do next", "action": "one of the commands, word by word"}',
    "action_only": '{"action": "one of the commands, word by word"}',
}


def prompt(
    style: Style,
    answer: Format | None,
    goal: str,
    events: Sequence[Event],
    sees: str | None,
    commands: Sequence[str] | None,
) -> str:
    """The whole text of an observation.

    Args:
        style: `full` tells the role and the form of the answer, `short` the same facts in few words.
        answer: what an answer is to hold, or None if it is not to be told.
        events: the past to be told, oldest first; what the last was answered is `sees`.
        sees: what is seen now, or None where an image shows it; then answers of the past are left out too.
        commands: what can be done, or None if it is not to be told.
    """
    if style == "short":
        past = [command for command, _ in events]
        parts = [f"Goal: {goal}."]
        parts += [f"Did: {', '.join(past)}."] * bool(past)
        parts += [] if sees is None else [f"See: {sees}"]
        parts += [] if commands is None else [f"Can: {', '.join(commands)}."]
        return " ".join(parts)
    lines = [_ROLE, f"Your task: {goal}."]
    if events:
        lines.append("So far:")
        lines += [f"> {command}" if sees is None else f"> {command}\n{answered}" for command, answered in events[:-1]]
        lines.append(f"> {events[-1][0]}")
    if sees is not None:
        lines.append(f"Now: {sees}")
    if commands is not None:
        lines.append(f"You can: {', '.join(commands)}.")
    if answer is not None:
        lines.append(f"Answer with JSON like this: {_FORMS[answer]}")
    return "\n".join(lines)
