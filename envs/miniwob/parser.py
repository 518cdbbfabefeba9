"""Between what an agent writes and primitives of a page; text is read, and never run."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from agentlab_runner.envs.miniwob import primitives

Form = Literal["utterance", "block"]

PRESS = f"press enter   or one of {', '.join(key for key in primitives.KEYS if key != 'enter')}"
EXAMPLES = {
    "click": "click 7", "type": 'type 5 "Anna"   replaces what the field holds', "press": PRESS,
    "select": 'select 9 "March"   chooses in a list', "drag": "drag 3 to 8", "scroll": "scroll 4 down",
    "hover": "hover 2",
}  # fmt: skip
BLOCK = {
    "click_xpath": "click_xpath \"//button[text()='OK']\"   clicks whatever it matches",
    "movemouse": "movemouse \"//*[@id='menu']\"",
    "click_option": "click_option \"//option[text()='March']\"   chooses in a list",
}
CALLS: Mapping[str, int] = {"type": 1, "click_xpath": 1, "press": 1, "click_option": 1, "movemouse": 1}
"""What a program may call, as in Synapse (arXiv 2306.07863), with the number of arguments each."""
PROGRAM_API = """\
Write a Python program in one fenced block (```). It calls these methods of `agent` and nothing else:
agent.type(characters)   types into what has the focus
agent.click_xpath(xpath)   clicks whatever the xpath matches
agent.press(key)   enter, space, arrowleft, arrowright, arrowup, arrowdown, backspace, command+a, command+c or command+v
agent.click_option(xpath)   chooses an option of a list
agent.movemouse(xpath)   moves the mouse over whatever the xpath matches"""
LABELS = ("click", "type", "press", "select", "drag", "scroll", "hover", "click_xpath", "movemouse", "click_option")


def _primitive(line: str) -> primitives.Primitive | None:
    """What a line gives, also with what an example says of itself behind three blanks."""
    return primitives.read_line(line) or primitives.read_line(line.rsplit("   ", 1)[0])


class PageParser:
    """Reads `click 7` and the like out of what an agent says.

    Args:
        form: `utterance`: one primitive, the last line that is one, of the last 256; `block`: all lines, each one.

    Raises:
        ValueError: unknown form.
    """

    labels: tuple[str, ...] = LABELS

    def __init__(self, form: Form = "utterance") -> None:
        if form not in get_args(Form):
            raise ValueError(f"unknown parser form {form!r}; choose one of {', '.join(get_args(Form))}")
        self.form = form

    @property
    def api(self) -> str:
        """The action language in a few lines."""
        if self.form == "utterance":
            return "Write one action on a line of its own; numbers are those in brackets. Actions are such as\n" + (
                "\n".join(EXAMPLES.values())
            )
        both = {**BLOCK, "type": 'type "Anna"   into what has the focus', "press": PRESS}
        return "Write the actions, one a line and nothing else. Actions are such as\n" + "\n".join(both.values())

    def parse(self, text: str) -> str | None:
        """The block a text gives, in its one form, or None where it gives none."""
        lines = [re.sub(r"^\s*(?:[-*>]|\d+[.)]|action:)\s*", "", line, flags=re.IGNORECASE).strip(" `")
                 for line in text.splitlines() if line.strip()]  # fmt: skip
        if self.form == "block" and len(lines) > primitives.LONGEST:
            return None
        found = [_primitive(line) for line in lines[-primitives.LONGEST :] if line]
        meant = [one for one in found if one is not None]
        if self.form == "utterance":
            return str(meant[-1]) if meant else None
        return primitives.write(meant) if meant and len(meant) == len(found) else None

    def render(self, action: str) -> str:
        """What to write for a block: itself."""
        return action

    @property
    def calls(self) -> Mapping[str, int]:
        """What a program may call; nothing where an action is an utterance."""
        return CALLS if self.form == "block" else {}

    @property
    def program_api(self) -> str:
        """As `api`, of programs."""
        return PROGRAM_API

    def block(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> str | None:
        """The block that calls make; None if one is none, or there are none or too many."""
        lines = [f"{name} {given[0] if name == 'press' else json.dumps(str(given[0]))}" for name, given in calls]
        block = primitives.read("\n".join(lines))
        return None if block is None else primitives.write(block)

    def program(self, action: str) -> str | None:
        """The program of a block; None where it numbers elements, which no program knows."""
        block = primitives.read(action) or ()
        if not block or any(one.name not in CALLS or len(one.arguments) != 1 for one in block):
            return None
        return "\n".join(f"agent.{one.name}({one.arguments[0]!r})" for one in block)

    def label(self, action: str) -> int:
        """Class of a block: that of its first primitive."""
        return self.labels.index(action.split(" ", 1)[0])

    def same(self, first: str, second: str) -> bool:
        return first == second
