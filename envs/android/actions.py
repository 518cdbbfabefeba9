"""The Android-in-the-Wild action format: what the agent writes, what the phone is told to do.

Three dialects of text describe the same eight actions:

- AitW, as Auto-UI and DigiRL write it:
  `Action Decision: "action_type": "DUAL_POINT", "touch_point": "[y, x]", "lift_point": "[y, x]", "typed_text": ""`
- CogAgent's: `Grounded Operation:tap [[x,y]]`, in thousandths of the screen
- the history form of the prompt, which is AitW with two quirks of the release (`AitwParser.history`).

Points are (y, x) in fractions of the screen everywhere in this module. Text is only ever matched, never evaluated.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, get_args

Point = tuple[float, float]
"""(y, x), fractions of the screen."""
Box = tuple[float, float, float, float]
"""top, left, bottom, right, fractions of the screen."""
Mode = Literal["tolerant", "released", "cogagent", "cogagent_released"]

UNUSED: Point = (-1.0, -1.0)
TAP_RADIUS = 0.14
"""Two taps match within this fraction of the screen (AitW, arXiv 2307.10088, on action matching)."""
SWIPE_LENGTH = 0.04
"""A gesture longer than this fraction of the screen is a swipe (same source)."""


class ActionType(IntEnum):
    """What an action is; the number is the class the counterfactual network predicts."""

    Idle = 0
    DualPoint = 1
    Type = 2
    GoBack = 3
    GoHome = 4
    Enter = 5
    TaskComplete = 6
    TaskImpossible = 7


@dataclass(frozen=True, slots=True)
class Action:
    """One action; `touch` and `lift` count for DualPoint alone, `text` for Type alone."""

    kind: ActionType
    touch: Point = UNUSED
    lift: Point = UNUSED
    text: str = ""

    @property
    def is_swipe(self) -> bool:
        return self.kind is ActionType.DualPoint and _distance(self.touch, self.lift) > SWIPE_LENGTH


def tap(y: float, x: float) -> Action:
    """A tap at (y, x)."""
    return Action(ActionType.DualPoint, (y, x), (y, x))


def swipe(touch: Point, lift: Point) -> Action:
    """A drag from `touch` to `lift`."""
    return Action(ActionType.DualPoint, touch, lift)


NAMES = {
    ActionType.Idle: "IDLE",
    ActionType.DualPoint: "DUAL_POINT",
    ActionType.Type: "TYPE",
    ActionType.GoBack: "PRESS_BACK",
    ActionType.GoHome: "PRESS_HOME",
    ActionType.Enter: "PRESS_ENTER",
    ActionType.TaskComplete: "STATUS_TASK_COMPLETE",
    ActionType.TaskImpossible: "TASK_IMPOSSIBLE",
}
_KINDS = {name: kind for kind, name in NAMES.items()}
_TOLERATED = _KINDS | {
    "STATUS_TASK_IMPOSSIBLE": ActionType.TaskImpossible,
    "TASK_COMPLETE": ActionType.TaskComplete,
}

_MARKER = "Action Decision:"
_KIND = re.compile(r"action_type[\"']?\s*:\s*[\"']?\s*([A-Za-z_]+)")
_NUMBER = r"(-?\d+(?:\.\d*)?|-?\.\d+)"
_POINT = r"[\"']?\s*:\s*[\"']?\s*[\[(]\s*" + _NUMBER + r"\s*,\s*" + _NUMBER
_TOUCH = re.compile("touch_point" + _POINT)
_LIFT = re.compile("lift_point" + _POINT)
_TEXT = re.compile(r"[\"']?typed_text[\"']?\s*:\s*")
_OTHERS = ("action_type", "touch_point", "lift_point")

_OPERATION = "Grounded Operation:"
_OPERATION_TAP = re.compile(r"\[\[\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\]\]")
_OPERATION_PHRASES = {
    "press home": Action(ActionType.GoHome),
    "press back": Action(ActionType.GoBack),
    "press enter": Action(ActionType.Enter),
    "task complete": Action(ActionType.TaskComplete),
    "task impossible": Action(ActionType.TaskImpossible),
    "swipe up": swipe((0.5, 0.5), (0.2, 0.5)),
    "swipe down": swipe((0.2, 0.5), (0.5, 0.5)),
    "swipe left": swipe((0.5, 0.8), (0.5, 0.2)),
    "swipe right": swipe((0.5, 0.2), (0.5, 0.8)),
}


class AitwParser:
    """Turns an utterance into an Action and back.

    Args:
        mode: how text is read.
            `tolerant`: fields are found by name in any order, typed text may hold commas, quotes and line breaks, a
            missing lift point is the touch point, points are clipped to the screen; whatever names no action is
            unparsable (None).
            `released`: DigiRL's and CoSo's strict reading: the text after the marker must have exactly six pieces
            between `, ` (so typed text with a comma is unparsable), an unknown type or a bad number is Idle.
            `cogagent`: CogAgent's grounded operations.
            `cogagent_released`: the same as the release reads them: nothing is unparsable (what is not understood is
            Idle), and a blank after the colon turns a tap into Idle.
        decimals: digits after the point that `render` writes for a coordinate (the release: 4).

    Raises:
        ValueError: unknown mode, or decimals outside 1..6.
    """

    labels: tuple[str, ...] = tuple(kind.name for kind in ActionType)
    """Names of the classes, by `label`."""

    def __init__(self, mode: Mode = "tolerant", decimals: int = 4) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"unknown parser mode {mode!r}; choose one of {', '.join(get_args(Mode))}")
        if not 1 <= decimals <= 6:
            raise ValueError(f"decimals is {decimals}; a coordinate needs 1 to 6 digits after the point")
        self.mode = mode
        self.decimals = decimals

    @property
    def api(self) -> str:
        """The action language in a few lines, for one who has never seen it; each of its examples parses."""
        if self.mode.startswith("cogagent"):
            typing = self.render(Action(ActionType.Type, text="words"))
            keys = [phrase for phrase in _OPERATION_PHRASES if phrase.startswith("press")]
            return "\n".join((
                "Write one action on one line, such as",
                f"{self.render(tap(0.25, 0.5))}   taps; [[x,y]] in thousandths of the screen, from the upper left",
                f"{typing}   types into the focused field",
                f"After {_OPERATION} may also stand one of these, of which the last two end the episode:",
                f"{', '.join(keys)}, swipe up, swipe down, swipe left, swipe right, task complete, task impossible",
            ))
        return "\n".join((
            "Write one action on one line, such as",
            f"{self.render(tap(0.25, 0.5))}   taps; points are [y, x] in fractions of the screen, from the upper left",
            f"{self.render(swipe((0.8, 0.5), (0.2, 0.5)))}   swipes from touch_point to lift_point",
            f"{self.render(Action(ActionType.Type, text='words'))}   types into the focused field",
            f"{self.render(Action(ActionType.GoBack))}   presses a key; the others are PRESS_HOME and PRESS_ENTER",
            f"{self.render(Action(ActionType.TaskComplete))}   ends the episode: the task is done",
            f"{self.render(Action(ActionType.TaskImpossible))}   ends it: the task cannot be done",
        ))

    def parse(self, text: str) -> Action | None:
        """The action `text` asks for, or None where it asks for none."""
        match self.mode:
            case "tolerant":
                return _parse_tolerant(text)
            case "released":
                return _parse_released(text)
            case "cogagent":
                return _parse_operation(text)
        return _parse_operation_released(text)

    @property
    def fallback(self) -> Action:
        """What the phone does with an unparsable utterance: nothing; in the release the episode is given up."""
        return Action(ActionType.TaskImpossible if self.mode == "released" else ActionType.Idle)

    def label(self, action: Action) -> int:
        """Class of the action, an index into `labels`."""
        return int(action.kind)

    def same(self, first: Action, second: Action, boxes: Iterable[Box] = ()) -> bool:
        """Whether two actions are equal in effect, by the matching rule of AitW (arXiv 2307.10088).

        Taps match within 14 % of the screen or inside one of `boxes`; swipes when they go the same way (the paper's
        own code compares the axis only, but up and down do not do the same); typed text ignoring case and blanks.
        """
        if first.kind is not second.kind or first.is_swipe is not second.is_swipe:
            return False
        if first.kind is ActionType.Type:
            return _squash(first.text) == _squash(second.text)
        if first.kind is not ActionType.DualPoint:
            return True
        if first.is_swipe:
            return _direction(first) == _direction(second)
        if _distance(first.touch, second.touch) <= TAP_RADIUS:
            return True
        return any(_inside(first.touch, box) and _inside(second.touch, box) for box in boxes)

    def render(self, action: Action) -> str:
        """The canonical utterance for `action`; `parse` gives the action back up to the rounding of its points.

        A line break in typed text becomes a blank. CogAgent's dialect knows four swipes only: the nearest is written.
        """
        if self.mode.startswith("cogagent"):
            return f"{_OPERATION}{_operation(action)}"
        return f"{_MARKER} {self._fields(NAMES[action.kind], action)}"

    def history(self, action: Action) -> str:
        """The action as the prompt's `Previous Actions` show it, with the quirks of the release.

        A completed and an impossible task both read STATUS_TASK_COMPLETE, and Idle is the empty string.
        """
        if action.kind is ActionType.Idle:
            return ""
        impossible = action.kind is ActionType.TaskImpossible
        return self._fields(NAMES[ActionType.TaskComplete if impossible else action.kind], action)

    def point(self, point: Point) -> str:
        """`[y, x]` with this parser's number of decimals; unused points are -1.0."""
        if point == UNUSED:
            return "[-1.0, -1.0]"
        return f"[{point[0]:.{self.decimals}f}, {point[1]:.{self.decimals}f}]"

    def _fields(self, name: str, action: Action) -> str:
        text = " ".join(action.text.splitlines())
        return (f'"action_type": "{name}", "touch_point": "{self.point(action.touch)}", '
                f'"lift_point": "{self.point(action.lift)}", "typed_text": "{text}"')


def _parse_tolerant(text: str) -> Action | None:
    typed, rest = _take_typed(text.split(_MARKER, 1)[-1])
    named = _KIND.search(rest)
    kind = _TOLERATED.get(named[1].upper()) if named else None
    if kind is ActionType.Type:
        return None if typed is None else Action(kind, text=typed)
    if kind is not ActionType.DualPoint:
        return None if kind is None else Action(kind)
    touch = _find_point(_TOUCH, rest)
    if touch is None:
        return None
    return Action(kind, touch, _find_point(_LIFT, rest) or touch)


def _take_typed(text: str) -> tuple[str | None, str]:
    """The typed text, and the utterance without it. Fields given before it are not looked for behind it."""
    label = _TEXT.search(text)
    if label is None:
        return None, text
    head, tail = text[: label.start()], text[label.end() :]
    quote = tail[:1] if tail[:1] in ("\"", "'") else ""
    later = "|".join(name for name in _OTHERS if name not in head)
    field = re.compile(rf"{quote}\s*[,\n]\s*[\"']?(?:{later})[\"']?\s*:")
    if later and (found := field.search(tail, len(quote))):
        end = found.start() + len(quote)
        tail, head = tail[:end], head + tail[end:]
    if not quote:
        return tail.strip().partition("\n")[0], head
    typed = _quoted(tail)
    return (tail[1:] if typed is None else typed), head


def _parse_released(text: str) -> Action | None:
    pieces = text.split("Action Decision: ")
    if len(pieces) < 2:
        return None
    fields = pieces[1].split(", ")
    if len(fields) != 6:
        return None
    try:
        kind = _KINDS.get(_value(fields[0]).strip('"'), ActionType.Idle)
        if kind is ActionType.DualPoint:
            return Action(kind, _released_point(fields[1:3]), _released_point(fields[3:5]))
        if kind is ActionType.Type:
            return Action(kind, text=_value(fields[5]).strip('"'))
        return Action(kind)
    except (IndexError, ValueError):
        return Action(ActionType.Idle)


def _value(field: str) -> str:
    """What follows the first `: `, up to the next one."""
    return field.split(": ")[1]


def _released_point(fields: list[str]) -> Point:
    y, x = _value(", ".join(fields)).strip('[]"').split(", ")
    point = float(y), float(x)
    if not all(-1e6 < number < 1e6 for number in point):
        raise ValueError("not a number on any screen")
    return point


def _parse_operation(text: str) -> Action | None:
    if _OPERATION not in text:
        return None
    operation = text.split(_OPERATION, 1)[1].strip()
    verb = operation.lower()
    if verb.startswith("tap"):
        found = _OPERATION_TAP.search(operation)
        return tap(_clip(int(found[2]) / 1000), _clip(int(found[1]) / 1000)) if found else None
    if verb.startswith("type"):
        opening = operation.partition("\n")[0].find('"')
        typed = _quoted(operation[opening:]) if opening >= 0 else None
        return None if typed is None else Action(ActionType.Type, text=typed)
    return next((action for phrase, action in _OPERATION_PHRASES.items() if verb.startswith(phrase)), None)


def _parse_operation_released(text: str) -> Action:
    idle = Action(ActionType.Idle)
    if _OPERATION not in text:
        return idle
    operation = text.split(_OPERATION)[1]
    verb = operation.split(" ")[0]
    try:
        if verb == "tap":
            x, y = operation.split("[[")[1].split("]]")[0].split(",")[:2]
            return tap(int(y) / 1000, int(x) / 1000)
        if "type" in verb:
            return Action(ActionType.Type, text=operation.split('"')[1])
    except (IndexError, ValueError):
        return idle
    return next((action for phrase, action in _OPERATION_PHRASES.items() if phrase in operation), idle)


def _operation(action: Action) -> str:
    if action.kind is ActionType.Type:
        return f'type "{" ".join(action.text.splitlines())}"'
    if action.is_swipe:
        return "swipe " + _direction(action)
    if action.kind is ActionType.DualPoint:
        return f"tap [[{round(action.touch[1] * 1000)},{round(action.touch[0] * 1000)}]]"
    return next((phrase for phrase, known in _OPERATION_PHRASES.items() if known == action), "idle")


def _find_point(pattern: re.Pattern[str], text: str) -> Point | None:
    found = pattern.search(text)
    if found is None:
        return None
    point = float(found[1]), float(found[2])
    return None if point == UNUSED else (_clip(point[0]), _clip(point[1]))


def _quoted(text: str) -> str | None:
    """What a text holds that begins with a quote and may hold quotes and line breaks itself; None if it is not closed.

    It is closed by a quote at the end of a line, one that leaves none open in between if there is such a line, else by
    the last quote of the first line.
    """
    quote, body = text[0], text[1:]
    ends = [found.start() for found in re.finditer(rf"{quote}[^\S\n]*[,.;}})\]]*[^\S\n]*(?=\n|$)", body)]
    even = [end for end in ends if body.count(quote, 0, end) % 2 == 0]
    end = (even or ends or [body.partition("\n")[0].rfind(quote)])[0]
    return body[:end] if end >= 0 else None


def _clip(fraction: float) -> float:
    return min(max(fraction, 0.0), 1.0)


def _squash(text: str) -> str:
    return "".join(text.lower().split())


def _distance(first: Point, second: Point) -> float:
    return math.hypot(first[0] - second[0], first[1] - second[1])


def _direction(action: Action) -> str:
    down, right = action.lift[0] - action.touch[0], action.lift[1] - action.touch[1]
    if abs(down) >= abs(right):
        return "down" if down > 0 else "up"
    return "right" if right > 0 else "left"


def _inside(point: Point, box: Box) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]
