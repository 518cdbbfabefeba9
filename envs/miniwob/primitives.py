"""What can be done on a page, a primitive a line; text is read, and never run."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Name = Literal[
    "click", "click_xpath", "type", "press", "select", "click_option", "hover", "movemouse", "drag", "scroll"
]
LONGEST = 256
"""Primitives of a block."""
TEXT = 2000
"""Characters of an argument."""
NESTED = re.compile(r"\[[^\]]*\[[^\]]*\[")
"""Three predicates of an xpath in one another, each of which multiplies by the page what is looked at."""
KEYS = ("enter", "space", "arrowleft", "arrowright", "backspace", "arrowup", "arrowdown", "command+a", "command+c",
        "command+v", "tab", "escape", "delete", "home", "end", "pageup", "pagedown")  # fmt: skip
"""What `press` knows: the ten of Synapse (`command` is control here), and those that other agents need."""

XPATHS = ("click_xpath", "click_option", "movemouse")
_STRING = r'"(?:[^"\\]|\\.)*"'
_NUMBER = r"(?:(\d{1,9})|\[(\d{1,9})\])"
"""Of an element, also as the page's listing writes it."""
_FORMS = {
    "click": (rf"click {_NUMBER}",),
    "click_xpath": (rf"click_xpath ({_STRING})",),
    "type": (rf"type {_NUMBER} ({_STRING})", rf"type ({_STRING})"),
    "press": (r"press ([\w+]+)",),
    "select": (rf"select {_NUMBER} ({_STRING})",),
    "click_option": (rf"click_option ({_STRING})",),
    "hover": (rf"hover {_NUMBER}",),
    "movemouse": (rf"movemouse ({_STRING})",),
    "drag": (rf"drag {_NUMBER} to {_NUMBER}",),
    "scroll": (rf"scroll {_NUMBER} (up|down)",),
}
_LINES = {name: tuple(re.compile(form, re.IGNORECASE) for form in forms) for name, forms in _FORMS.items()}


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of them. A number is an element's `data-wob_ref`, an xpath all that it matches."""

    name: Name
    arguments: tuple[int | str, ...]

    def __str__(self) -> str:
        if self.name == "drag":
            return f"drag {self.arguments[0]} to {self.arguments[1]}"
        bare = self.name in ("press", "scroll")
        said = [one if bare and isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in self.arguments]
        return " ".join([self.name, *map(str, said)])


def read(text: str) -> tuple[Primitive, ...] | None:
    """The block a text gives, a primitive a line; None if a line gives none, or there is none.

    What is kept of a primitive is exactly what `str` writes, so that a block has one form.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    found = [primitive for line in lines[: LONGEST + 1] if (primitive := read_line(line)) is not None]
    if not found or len(found) != len(lines) or len(lines) > LONGEST:
        return None
    return tuple(found)


def read_line(line: str) -> Primitive | None:
    """The primitive a line gives, case and blanks aside; None if it gives none."""
    name = re.split(r"\s", line.strip(), maxsplit=1)[0].lower()
    for form in _LINES.get(name, ()):
        if match := form.fullmatch(re.sub(r"^(\S+)\s+", r"\1 ", line.strip())):
            return _made(name, [one for one in match.groups() if one is not None])
    return None


def write(block: Sequence[Primitive]) -> str:
    """The text of a block; `read` gives it back."""
    return "\n".join(map(str, block))


def _made(name: str, given: Sequence[str]) -> Primitive | None:
    arguments: list[int | str] = []
    for one in given:
        if one.isdecimal():
            arguments.append(int(one))
        elif one.startswith('"'):
            try:
                said = re.sub(r"\\(.)", lambda pair: "'" if pair[1] == "'" else pair[0], one)  # JSON has no \'
                arguments.append(str(json.loads(said, strict=False))[:TEXT])
            except ValueError:
                return None
        else:
            arguments.append(re.sub(r"^(?:ctrl|control)\+", "command+", one.lower()))
    if name == "press" and arguments[0] not in KEYS:
        return None
    if name in XPATHS and NESTED.search(re.sub(r"\"[^\"]*\"|'[^']*'", "", str(arguments[0]))):
        return None
    assert name in get_args(Name)
    return Primitive(name, tuple(arguments))  # type: ignore[arg-type]
