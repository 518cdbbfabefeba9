"""The words around an observation: what the model is told, what it is asked, and the fence around what it is shown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentlab_runner.agents.llm.chat.fence import RULE, fenced
from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.agents.llm.halves import readable
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import Frame
from agentlab_runner.runners.types import Observation

ROLE = f"You act in an environment, one action at a time, until its task is done. {RULE}"
PLAIN = "Answer with the action alone."
REACT = "Think, then act. Answer in two lines:\nThought: what the state is and what to do next\nAction: the action"
THINK = "Say in one or two sentences what the state is and what to do next."
CHOOSE = "Answer with one of these actions, word for word:"
SILENT = "(nothing)"
AGAIN = "There is no action in that."
EXAMPLES = "First come episodes of such tasks that were solved, then your own."
SOLVED = "An episode that was solved:"
OWN = "Your own episode:"
LESSONS = "You have failed this task before. What you learnt from it:"
REFLECT = (
    "You failed. Say in two or three sentences what went wrong and what you will do otherwise the next time; you will "
    "read them before you try again."
)

_ACTION = re.compile(r"^[\s>*#_-]*action[\s*_]*:", re.IGNORECASE | re.MULTILINE)


def system(api: str = "", form: str = "", lessons: Sequence[str] = (), examples: bool = False) -> Message:
    """What holds for the whole episode.

    Args:
        api: the action language; "" where actions are listed with every observation.
        form: of an answer; "" where it is asked for with every observation.
        lessons: from earlier trials.
        examples: whether solved episodes come first.
    """
    parts = [part for part in (ROLE, api, form, EXAMPLES if examples else "") if part]
    parts += ["\n".join((LESSONS, *(f"- {' '.join(lesson.split())}" for lesson in lessons)))] if lessons else []
    return Message("system", ("\n\n".join(parts),))


def shown(text: str, picture: Frame | None = None) -> Message:
    """An observation as the environment's turn. A fence in its own text is broken, so that it cannot be left."""
    words = fenced("observation", text)
    return Message("user", (words,) if picture is None else (picture, words))


def offered(observation: Observation) -> Mapping[str, Any]:
    """What an observation lists that can be done: what `env.step` receives, by phrase; of equal ones the first.

    Raises:
        UserError: if it lists none, or the ids do not match it.
    """
    phrases, ids = [readable(str(phrase)) for phrase in observation["actions"]], observation.get("action_ids", ())
    if not phrases or len(phrases) != len(ids) or not all(phrase.strip() for phrase in phrases):
        raise UserError(
            f"the observation has {len(phrases)} actions and {len(ids)} action_ids; the environment must list at least "
            "one, none of them empty, with an id each"
        )
    found: dict[str, Any] = {}
    for phrase, own in zip(phrases, ids, strict=True):
        found.setdefault(phrase, own)
    return found


def listed(phrases: Iterable[str]) -> str:
    """The actions that can be chosen."""
    return f"{CHOOSE}\n" + fenced("actions", "\n".join(phrases))


def with_words(message: Message, words: str) -> Message:
    """The same turn with something said after it."""
    return Message(message.role, (*message.parts, f"\n\n{words}"))


def headed(message: Message, words: str) -> Message:
    """The same turn with a line before it."""
    return Message(message.role, (f"{words}\n\n", *message.parts))


def said(text: str) -> Message:
    """The model's own turn; some servers take none that is empty."""
    return Message("assistant", (text if text.strip() else SILENT,))


def joined(thought: str, action: str) -> str:
    """Both as one turn."""
    return f"{thought.strip()}\n{action}" if thought.strip() else action


def after_thought(text: str) -> str:
    """What follows the last line that begins with `Action:`, or everything where there is none."""
    found = list(_ACTION.finditer(text))
    return text[found[-1].end() :] if found else text
