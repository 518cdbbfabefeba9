"""What the agent writes, and the command it means: the f_parse of the household. Text is only ever matched."""

import json
import re
from collections.abc import Sequence
from typing import Literal, get_args

from agentlab_runner.envs.fields import field_values

Mode = Literal["tolerant", "released"]
Format = Literal["thoughts", "action_only"]

TAIL = 30
"""Without a marker RL4VLM reads this many characters from the end; some commands are longer."""

_MARKER = '"action":'
_VALUE = r"""["']action["']\s*:\s*(?:"([^"\n]*)|'([^'\n]*)|([^"'\n,}]*))"""
_NAME = r"[a-z]+ \d+"
_PATTERNS = {
    "look": "look",
    "inventory": "inventory",
    "help": "help",
    "go": f"go to {_NAME}",
    "open": f"open {_NAME}",
    "close": f"close {_NAME}",
    "take": f"take {_NAME} from {_NAME}",
    "move": f"move {_NAME} to {_NAME}",
    "examine": f"examine {_NAME}",
    "use": f"use {_NAME}",
    "clean": f"clean {_NAME} with {_NAME}",
    "heat": f"heat {_NAME} with {_NAME}",
    "cool": f"cool {_NAME} with {_NAME}",
    "slice": f"slice {_NAME} with {_NAME}",
}
_EXAMPLES = {
    "look": "look   tells what is here",
    "inventory": "inventory   tells what you hold",
    "help": "help   tells the commands",
    "go": "go to cabinet 1",
    "open": "open cabinet 1",
    "close": "close cabinet 1",
    "take": "take mug 1 from cabinet 1",
    "move": "move mug 1 to cabinet 1   puts down what you hold",
    "examine": "examine cabinet 1",
    "use": "use desklamp 1   turns it on",
    "clean": "clean mug 1 with sinkbasin 1",
    "heat": "heat mug 1 with microwave 1",
    "cool": "cool mug 1 with fridge 1",
    "slice": "slice apple 1 with knife 1",
}
_COMMAND = re.compile(rf"\b(?:{'|'.join(_PATTERNS.values())})\b")
_ARTICLE = re.compile(r"\b(?:the|a|an) (?=[a-z]+ \d)")
_SAME = tuple((re.compile(rf"\b{said}\b"), meant) for said, meant in (
    (rf"(?:put|place) ({_NAME}) (?:in/on|in|on|into|onto|to) ({_NAME})", r"move \1 to \2"),
    (rf"pick up ({_NAME}) from ({_NAME})", r"take \1 from \2"),
    (rf"(heat|cool|clean|slice) ({_NAME}) using ({_NAME})", r"\1 \2 with \3"),
    (rf"turn on ({_NAME})", r"use \1"),
    (rf"move to ({_NAME})", r"go to \1"),
))  # fmt: skip
"""The games' own other words for their commands, in their help and in what they answer; `put` was `move` before 0.4."""


class CommandParser:
    """Turns an utterance into a command of the household's grammar and back.

    Whether a command can be done is not this parser's business: it has not seen the room. `choose` is the step after,
    for the environment, which has.

    Args:
        mode: how text is read.
            `tolerant`: the value of the last field `"action"`, or the last line if there is none; case, spacing,
            articles and the games' other words (`put` or `place X in/on Y`, `turn on X`) do not matter; names count as
            wholes, and the longest command wins.
            `released`: RL4VLM's reading: the lower-cased text after the first `"action":`, or the last 30 characters if
            there is none; the first admissible command that occurs in it, so `go to cabinet 1` in `go to cabinet 10`.
        format: what `render` writes: `thoughts` and the action, or `action_only`.

    Raises:
        ValueError: unknown mode or format.
    """

    labels: tuple[str, ...] = tuple(_PATTERNS)
    """The 14 verbs, by `label`."""

    def __init__(self, mode: Mode = "tolerant", format: Format = "thoughts") -> None:
        for name, value, choices in (("mode", mode, get_args(Mode)), ("format", format, get_args(Format))):
            if value not in choices:
                raise ValueError(f"unknown parser {name} {value!r}; choose one of {', '.join(choices)}")
        self.mode = mode
        self.format = format

    @property
    def api(self) -> str:
        """The action language in a few lines, for one who has never seen it; each of its examples parses."""
        commands = "\n".join(_EXAMPLES.values())
        return f"Write one command as JSON, such as\n{self.render('go to cabinet 1')}\nThe commands are:\n{commands}"

    def parse(self, text: str) -> str | None:
        """The command `text` gives, as the games write it, or None where it gives none."""
        found = _COMMAND.findall(_normal(self.spoken(text)))
        return max(found, key=len) if found else None

    def label(self, command: str) -> int:
        """Class of a command: its verb, an index into `labels`."""
        return self.labels.index(command.split(" ", 1)[0])

    def same(self, first: str, second: str) -> bool:
        return first == second

    def render(self, command: str, thoughts: str = "") -> str:
        """The canonical utterance for a command; `parse` gives the command back."""
        fields = {"thoughts": thoughts, "action": command} if self.format == "thoughts" else {"action": command}
        return json.dumps(fields, ensure_ascii=False)

    def spoken(self, text: str) -> str:
        """The part of an utterance that says what to do."""
        if self.mode == "released":
            _, marker, rest = text.lower().partition(_MARKER)
            return rest if marker else text.lower()[-TAIL:]
        values = field_values(_VALUE, text)
        if values:
            return values[-1].strip()
        return text.strip().rpartition("\n")[2]

    def choose(self, text: str, admissible: Sequence[str]) -> str | None:
        """The admissible command an utterance means, or None if it means none of them.

        Args:
            admissible: in the engine's order, which `released` goes through.
        """
        spoken = self.spoken(text)
        if self.mode == "released":
            return next((command for command in admissible if command in spoken), None)
        said = [command for command in _COMMAND.findall(_normal(spoken)) if command in admissible]
        return max(said, key=len, default=None)


def _normal(text: str) -> str:
    """Lower case, single blanks, no articles, and the command's own word for each that means the same."""
    text = _ARTICLE.sub("", " ".join(text.lower().split()))
    for said, meant in _SAME:
        text = said.sub(meant, text)
    return text
