"""What an agent reads of a page, as BrowserGym's own agents do, and what it can do there in words."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agentlab_runner.envs.browsergym.actions import Call, read
from agentlab_runner.envs.browsergym.client import Seen

LONGEST = 1 << 18
"""Characters of a page."""
MOST = 64
"""Phrases of a state."""
QUOTED = 60
"""Characters of a text that a phrase quotes."""
WRITTEN = ("textbox", "searchbox", "spinbutton")
ROLES = {"textbox": "text field", "searchbox": "search field", "spinbutton": "number field", "generic": "area",
         "combobox": "list", "listbox": "list", "StaticText": "text"}  # fmt: skip
NOTE = "Note: [bid] is the unique alpha-numeric identifier at the beginning of lines for each element in the AXTree."


def page(seen: Seen) -> str:
    """Goal, open tabs, the accessibility tree with bids, what has the focus, and what was wrong before."""
    tabs = "\n".join(
        f"Tab {n}{' (active tab)' if n == seen['active'] else ''}:\n    Title: {title}\n    URL: {url}"
        for n, (title, url) in enumerate(seen["tabs"])
    )
    tree = seen["tree"] if len(seen["tree"]) <= LONGEST else f"{seen['tree'][:LONGEST]}\n(the page goes on)"
    parts = [f"## Goal:\n{seen['goal']}", f"## Currently open tabs:\n{tabs}", f"## AXTree:\n{NOTE}\n{tree}"]
    if seen["focused"]:
        parts.append(f"## Focused element:\nbid={seen['focused']!r}")
    if seen["error"]:
        parts.append(f"## Error from previous action:\n{seen['error'][:2000]}")
    return "\n\n".join(parts)


def phrases(goal: str, elements: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What can be done now: for each phrase, all different, the call that does it."""
    found: dict[str, str] = {}
    names = [_named(element) for element in elements]
    many, met = Counter(names), Counter[str]()
    for element, plain in zip(elements, names, strict=True):
        met[plain] += 1
        name = plain if many[plain] == 1 else f"{_ordinal(met[plain])} {plain}"
        bid, offers = element["bid"], element["options"]
        if element["clickable"] and not offers:
            _add(found, f"click the {name}", Call("click", (bid, "left", [])))
        if element["role"] in WRITTEN:
            for word in sayable(goal):
                _add(found, f"type {_quoted(word)} into the {name}", Call("fill", (bid, word, False)))
        for option in offers:
            _add(found, f"choose {_quoted(option)} in the {name}", Call("select_option", (bid, option)))
    return found or {"wait": "noop()"}


def sayable(goal: str) -> list[str]:
    """What a goal gives to type: what it quotes, or else its words."""
    quoted = re.findall(r'"([^"]+)"', goal)
    words = quoted or [word.strip(".,:;!?") for word in goal.split()]
    return [word for word in dict.fromkeys(words) if word]


def _add(found: dict[str, str], phrase: str, call: Call) -> None:
    if len(found) < MOST and read(str(call)) is not None:
        found.setdefault(phrase, str(call))


def _named(element: Mapping[str, Any]) -> str:
    role = ROLES.get(element["role"], element["role"])
    return f"{role} {_quoted(element['name'])}" if element["name"].strip() else role


def _quoted(text: str) -> str:
    said = " ".join(text.split())
    return f'"{said if len(said) <= QUOTED else said[: QUOTED - 3] + "..."}"'


def _ordinal(number: int) -> str:
    return ("1st", "2nd", "3rd")[number - 1] if number <= 3 else f"{number}th"
