"""What an agent reads of a page, and what it can do there in words. Only what the screen shows is said."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

Element = Mapping[str, Any]
Act = Literal["click", "type", "choose", "wait"]


class Offer(NamedTuple):
    """Something that can be done."""

    act: Act
    phrase: str
    action: str
    """The primitives that do it."""
    element: Element | None
    """What it is done to."""
    word: str = ""
    """What is typed or chosen."""


MOST = 96
"""Phrases of a state."""
LONGEST = 60
"""Characters of a text that a phrase quotes."""
COLOURS = {
    "black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "red": (255, 0, 0), "blue": (0, 0, 255),
    "green": (0, 128, 0), "lime": (0, 255, 0), "yellow": (255, 255, 0), "orange": (255, 165, 0),
    "purple": (128, 0, 128), "pink": (255, 192, 203), "cyan": (0, 255, 255), "magenta": (255, 0, 255),
    "brown": (139, 69, 19), "olive": (128, 128, 0), "navy": (0, 0, 128),
}  # fmt: skip
KINDS = {
    "a": "link", "button": "button", "select": "list", "textarea": "text area", "label": "label", "th": "header",
    "li": "item", "td": "cell", "tr": "row", "h3": "heading", "span": "text", "p": "paragraph", "div": "area",
    "circle": "circle", "rect": "rectangle", "polygon": "shape", "text": "letter", "svg": "drawing", "path": "shape",
    "option": "option",
}  # fmt: skip
INPUTS = {
    "text": "text field", "password": "password field", "checkbox": "box", "radio": "radio button", "button": "button",
    "submit": "button", "date": "date field", "time": "time field", "number": "number field", "range": "slider",
}  # fmt: skip
WRITTEN = ("text", "password", "date", "time", "number", "search", "email", "tel", "url")
ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def kind(element: Element) -> str:
    """What a person would call it."""
    if element["tag"] == "input":
        return INPUTS.get(str(element["kind"]), "field")
    return KINDS.get(str(element["tag"]), str(element["tag"]))


def takes_text(element: Element) -> bool:
    return element["tag"] == "textarea" or (element["tag"] == "input" and element["kind"] in WRITTEN)


def colour(css: str) -> str:
    """The name nearest to a colour as a style has it; "" for none."""
    numbers = re.findall(r"[\d.]+", css)
    if not css.startswith("rgb") or len(numbers) < 3 or (len(numbers) == 4 and float(numbers[3]) == 0):
        return ""
    seen = [float(number) for number in numbers[:3]]
    return min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], seen, strict=True)))


def named(element: Element) -> str:
    """An element in a few words: its kind, and its text, label or colour."""
    said = element["text"] or element["label"]
    if element["tag"] == "input" and element["kind"] in ("submit", "button", "reset"):
        said = element["value"]
    if said:
        return f"{kind(element)} {_quoted(said)}"
    shade = "" if takes_text(element) or element["tag"] == "select" else colour(element["colour"])
    if element["tag"] == "span":
        return f"{shade} area" if shade else "icon"
    return f"{shade} {kind(element)}" if shade else kind(element)


def numbered(elements: Sequence[Element]) -> list[str]:
    """Names of elements, equal ones told apart by their order on the page."""
    names = [named(element) for element in elements]
    many, met, found = Counter(names), Counter[str](), []
    for name in names:
        met[name] += 1
        found.append(name if many[name] == 1 else f"{_ordinal(met[name])} {name}")
    return found


def shown(elements: Sequence[Element]) -> list[Element]:
    """Those that the screen shows."""
    return [element for element in elements if element["visible"]]


def listing(elements: Sequence[Element]) -> str:
    """A line for each element that is shown: its number, what it is, and what it holds."""
    lines = []
    for element in shown(elements):
        said = f"[{element['ref']}] {named(element)}"
        if element["kind"] in ("checkbox", "radio"):
            said += " (chosen)" if element["value"] == "true" else ""
        elif element["tag"] == "select":
            said += f" holds {', '.join(map(_quoted, element['chosen']))}" if any(element["chosen"]) else ""
        elif takes_text(element):
            said += f" holds {_quoted(element['value'])}" if element["value"] else ""
        if element["options"]:
            said += f" offers {', '.join(map(_quoted, element['options'][:30]))}"
        lines.append(said + (" (focused)" if element["focused"] else ""))
    return "\n".join(lines)


def phrases(goal: str, elements: Sequence[Element]) -> dict[str, str]:
    """What can be done now: for each phrase, all different, the primitives that do it; see `offers`."""
    return {offer.phrase: offer.action for offer in offers(goal, elements)}


def offers(goal: str, elements: Sequence[Element]) -> list[Offer]:
    """What can be done now, at most `MOST`, no phrase twice.

    Anything shown can be clicked, the words of the goal can be typed into fields, options of lists be chosen. Texts
    come last, where there is room. Of two that do the same, a label and what it labels or a box and a thing of the same
    text in it, the inner one stays.
    """
    visible = shown(elements)
    said = sayable(goal)
    found: dict[str, Offer] = {}

    def add(act: Act, phrase: str, action: str, element: Element, word: str = "") -> None:
        if len(found) < MOST:
            found.setdefault(phrase, Offer(act, phrase, action, element, word))

    told = [element for element in visible if not _said_within(element, visible)]
    pairs = list(zip(told, numbered(told), strict=True))
    for element, name in pairs:
        ref = element["ref"]
        if element["tag"] == "select":
            for option in element["options"]:
                action = f"select {ref} {json.dumps(option)}"
                add("choose", f"choose {_quoted(option)} in the {name}", action, element, option)
        elif takes_text(element):
            add("click", f"click the {name}", f"click {ref}", element)
            for word in said:
                add("type", f"type {_quoted(word)} into the {name}", f"type {ref} {_text(word)}", element, word)
        elif element["clickable"]:
            add("click", f"click the {name}", f"click {ref}", element)
    for element, name in pairs:
        if not element["clickable"] and element["tag"] not in ("select", "option"):
            add("click", f"click the {name}", f"click {element['ref']}", element)
    return list(found.values()) or [Offer("wait", "wait", "press escape", None)]


def _said_within(element: Element, visible: Sequence[Element]) -> bool:
    """Whether a click on something else that is shown does the same: what a label labels, or the same text within."""
    if element["controls"]:
        return any(other["ref"] == element["controls"] for other in visible)
    text = element["text"]
    return bool(text) and any(
        other["text"] == text and _size(other) < _size(element) and _inside(other, element) for other in visible
    )


def _size(element: Element) -> tuple[float, int]:
    """Area, and of equal ones the later element is the inner one."""
    return float(element["width"] * element["height"]), -int(element["ref"])


def _inside(inner: Element, outer: Element) -> bool:
    return bool(
        inner["left"] >= outer["left"] - 1 and inner["left"] + inner["width"] <= outer["left"] + outer["width"] + 1
        and inner["top"] >= outer["top"] - 1 and inner["top"] + inner["height"] <= outer["top"] + outer["height"] + 1
    )  # fmt: skip


def as_json(elements: Sequence[Element]) -> str:
    """All elements, also those that the screen does not show, as JSON."""
    return json.dumps(elements, ensure_ascii=False, separators=(",", ":"))


def without_numbers(html: str) -> str:
    """The same html without what numbers its elements."""
    return re.sub(r' data-(?:wob_ref|wob_eps|tampered)="[^"]*"', "", html)


def sayable(goal: str) -> list[str]:
    """What a goal gives to type: what it quotes, or else its words."""
    quoted = re.findall(r'"([^"]+)"', goal)
    words = quoted or [word.strip(".,:;!?") for word in goal.split()]
    return [word for word in dict.fromkeys(words) if word]


def _quoted(text: str) -> str:
    said = " ".join(text.split())
    return f'"{said if len(said) <= LONGEST else said[: LONGEST - 3] + "..."}"'


def _text(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)


def _ordinal(number: int) -> str:
    teens = 10 < number % 100 < 14
    return f"{number}{'th' if teens else ORDINALS.get(number % 10, 'th')}"
