"""BrowserGym's calls, read and never run: one of a list, its arguments literals, written in one form."""

import ast
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

Subset = Literal["bid", "coord", "nav", "tab", "chat", "infeas"]
"""As BrowserGym names them; calls that read files (`upload_file`) are left out."""

TEXT = 4000
"""Characters of an argument, and of a call."""
BUTTONS = ("left", "middle", "right")
MODIFIERS = ("Alt", "Control", "ControlOrMeta", "Meta", "Shift")
MOST = 100_000
"""Pixels, and milliseconds."""

CALLS: Mapping[str, Mapping[str, str]] = {
    "": {"noop": "wait_ms: number = 1000"},
    "bid": {
        "click": "bid: bid, button: button = 'left', modifiers: modifiers = []",
        "dblclick": "bid: bid, button: button = 'left', modifiers: modifiers = []",
        "hover": "bid: bid",
        "fill": "bid: bid, value: text, enable_autocomplete_menu: flag = False",
        "select_option": "bid: bid, options: texts",
        "press": "bid: bid, key_comb: key",
        "focus": "bid: bid",
        "clear": "bid: bid",
        "drag_and_drop": "from_bid: bid, to_bid: bid",
        "scroll": "delta_x: number, delta_y: number",
    },
    "coord": {
        "scroll_at": "x: number, y: number, dx: number, dy: number",
        "mouse_move": "x: number, y: number",
        "mouse_up": "x: number, y: number, button: button = 'left'",
        "mouse_down": "x: number, y: number, button: button = 'left'",
        "mouse_click": "x: number, y: number, button: button = 'left'",
        "mouse_dblclick": "x: number, y: number, button: button = 'left'",
        "mouse_drag_and_drop": "from_x: number, from_y: number, to_x: number, to_y: number",
        "keyboard_press": "key: key",
        "keyboard_up": "key: key",
        "keyboard_down": "key: key",
        "keyboard_type": "text: text",
        "keyboard_insert_text": "text: text",
    },
    "nav": {"goto": "url: url", "go_back": "", "go_forward": ""},
    "tab": {"new_tab": "", "tab_close": "", "tab_focus": "index: index"},
    "chat": {"send_msg_to_user": "text: text"},
    "infeas": {"report_infeasible": "reason: text"},
}
"""By subset (`noop` is always there) what each takes, in their order: a name, a kind, and what it is if left out."""

EXAMPLES = {
    "noop": "noop()", "click": "click('12')", "dblclick": "dblclick('12')", "hover": "hover('b8')",
    "fill": "fill('7', 'Anna')   replaces what the field holds",
    "select_option": "select_option('a48', 'March')   chooses in a list", "press": "press('88', 'Enter')",
    "focus": "focus('b455')", "clear": "clear('996')", "drag_and_drop": "drag_and_drop('56', '498')",
    "scroll": "scroll(0, 200)", "scroll_at": "scroll_at(50, 100, 0, 200)", "mouse_move": "mouse_move(65.2, 158.5)",
    "mouse_up": "mouse_up(250, 120)", "mouse_down": "mouse_down(140.2, 80.1)", "mouse_click": "mouse_click(87.2, 68)",
    "mouse_dblclick": "mouse_dblclick(5, 236)", "mouse_drag_and_drop": "mouse_drag_and_drop(10.7, 32, 135.6, 24.5)",
    "keyboard_press": "keyboard_press('ControlOrMeta+a')", "keyboard_up": "keyboard_up('Shift')",
    "keyboard_down": "keyboard_down('Shift')", "keyboard_type": "keyboard_type('Hello')",
    "keyboard_insert_text": "keyboard_insert_text('Hello')", "goto": "goto('http://www.example.com')",
    "go_back": "go_back()", "go_forward": "go_forward()", "new_tab": "new_tab()", "tab_close": "tab_close()",
    "tab_focus": "tab_focus(1)", "send_msg_to_user": "send_msg_to_user('It was built in 1751.')",
    "report_infeasible": "report_infeasible('There is no such field.')",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a call."""

    name: str
    kind: str
    default: Any = None
    required: bool = True


def _parameters(said: str) -> tuple[Parameter, ...]:
    found = []
    for name, kind, default in re.findall(r"(\w+): (\w+)(?: = ([^,]+))?", said):
        found.append(Parameter(name, kind, ast.literal_eval(default), False) if default else Parameter(name, kind))
    return tuple(found)


SIGNATURES: Mapping[str, tuple[Parameter, ...]] = {
    name: _parameters(said) for calls in CALLS.values() for name, said in calls.items()
}


@dataclass(frozen=True, slots=True)
class Call:
    """One of them, every argument in its place and those that are as they come left out at the end."""

    name: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        """`click('12')`: what `read` reads, arguments that may be left out by their names."""
        takes = SIGNATURES[self.name]
        said = [
            repr(one) if parameter.required else f"{parameter.name}={one!r}"
            for parameter, one in zip(takes, self.arguments, strict=True)
            if parameter.required or one != parameter.default
        ]
        return f"{self.name}({', '.join(said)})"


def read(text: str, names: Sequence[str] = tuple(SIGNATURES)) -> Call | None:
    """The one call that a line is; None if it is none of `names` with arguments of their kinds."""
    if len(text) > TEXT + 200:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that are none
            node = ast.parse(text.strip(), mode="eval").body
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names):
                return None
            given = [ast.literal_eval(one) for one in node.args]
            named = {one.arg: ast.literal_eval(one.value) for one in node.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return _bound(node.func.id, given, named)


def _bound(name: str, given: Sequence[Any], named: Mapping[str | None, Any]) -> Call | None:
    takes = SIGNATURES[name]
    by_name: dict[str | None, Any] = {one.name: value for one, value in zip(takes, given, strict=False)}
    if len(given) > len(takes) or by_name.keys() & named.keys() or named.keys() - {one.name for one in takes}:
        return None
    said = {**by_name, **named}
    if any(one.required and one.name not in said for one in takes):
        return None
    values = [_value(one.kind, said[one.name]) if one.name in said else one.default for one in takes]
    return None if any(value is None for value in values) else Call(name, tuple(values))


def _value(kind: str, value: Any) -> Any:
    """A value as its kind has it; None if it is none of that kind."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "bid":
            said = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
            return said if re.fullmatch(r"[a-zA-Z]{0,20}\d{1,9}", said) else None
        case "text":
            return _text(value)
        case "texts":
            if isinstance(value, list):
                texts = [_text(one) for one in value[:100]]
                return None if not texts or None in texts else texts
            return _text(value)
        case "number":
            return value if number and math.isfinite(value) and abs(value) <= MOST else None
        case "index":
            return value if number and isinstance(value, int) and 0 <= value < 1000 else None
        case "flag":
            return value if isinstance(value, bool) else None
        case "button":
            return value if value in BUTTONS else None
        case "modifiers":
            return value if isinstance(value, list) and all(one in MODIFIERS for one in value[:9]) else None
        case "key":
            return value if isinstance(value, str) and re.fullmatch(r"(\w+\+){0,4}(\w+|[!-~])", value) else None
        case "url":  # never a file of this machine's
            return value if isinstance(value, str) and re.fullmatch(r"https?://[!-~]{1,2000}", value) else None
    raise AssertionError(kind)


def _text(value: Any) -> str | None:
    """Text that can be written as UTF-8."""
    if not isinstance(value, str) or len(value) > TEXT or re.search(r"[\ud800-\udfff]", value):
        return None
    return value


class CallParser:
    """Reads `click('12')` and the like out of what an agent says: the last line that is one call.

    Args:
        subsets: which calls there are.

    Raises:
        ValueError: unknown subset.
    """

    def __init__(self, subsets: Sequence[Subset] = ("bid",)) -> None:
        for one in subsets:
            if one not in get_args(Subset):
                raise ValueError(f"unknown subset {one!r} of calls; choose of {', '.join(get_args(Subset))}")
        self.subsets = tuple(subsets)
        self.labels = tuple(name for subset in (*subsets, "") for name in CALLS[subset])

    @property
    def api(self) -> str:
        """The action language in a few lines."""
        told = "Write one call on a line of its own; bids are those in brackets. Actions are such as"
        return "\n".join([told, *(EXAMPLES[name] for name in self.labels)])

    def parse(self, text: str) -> str | None:
        """The call a text gives, in its one form, or None where it gives none."""
        for line in reversed(text.splitlines()[-500:]):
            said = re.sub(r"^\s*(?:[-*>]|\d+[.)]|action:)\s*", "", line, flags=re.IGNORECASE).strip(" `")
            found = read(said, self.labels) or read(said.rsplit("   ", 1)[0], self.labels)
            if found is not None:
                return str(found)
        return None

    def render(self, action: str) -> str:
        """What to write for a call: itself."""
        return action

    def label(self, action: str) -> int:
        """Class of a call."""
        return self.labels.index(action.split("(", 1)[0])

    def same(self, first: str, second: str) -> bool:
        return first == second
