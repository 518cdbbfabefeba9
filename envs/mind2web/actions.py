"""Actions on elements as text: `CLICK [id]`, `TYPE [id] [value]`, `SELECT [id] [value]`."""

import re
import string
from typing import NamedTuple

OPS = ("CLICK", "TYPE", "SELECT")

LONGEST = 10_000
"""Characters of an answer that are read; how long that takes grows by their square."""
_HEAD = re.compile(rf"(?:^|\s)({'|'.join(OPS)})?\s?\[(.+?)\]")
_QUOTED = re.compile(r"`([^`]*)`")


class Action(NamedTuple):
    """What is done to which element."""

    op: str | None
    """One of `OPS`; None where a text names an element alone."""
    id: str
    value: str | None = None
    """What is typed or chosen."""

    def __str__(self) -> str:
        head = f"{self.op} [{self.id}]" if self.op else f"[{self.id}]"
        return head if self.value is None else f"{head} [{self.value}]"


def quoted(text: str) -> str:
    """What stands between the first two backticks; all of it where there are none."""
    found = _QUOTED.search(text)
    return found[1] if found else text


def read(text: str) -> Action | None:
    """The first action in a text; None if it has none.

    The operation is in capitals and may be missing; before it the text begins or has a blank. A value ends at the
    bracket that closes it, inner pairs included; where none does, at the first.
    """
    text = text[:LONGEST]
    found = _HEAD.search(text)
    return None if found is None else Action(found[1], found[2], _value(text[found.end() :]))


def words(action: Action | None) -> str:
    """Operation and value as the action F1 reads them; a click has no value."""
    if action is None:
        return ""
    if action.op == "CLICK" or action.value is None:
        return action.op or ""
    return f"{action.op} {action.value}" if action.op else action.value


def f1(said: str, true: str) -> float:
    """F1 of two sets of words, marks by themselves left out; of two empty ones 1."""
    first, second = ({word for word in text.split() if word not in string.punctuation} for text in (said, true))
    if not first or not second:
        return float(not first and not second)
    shared = len(first & second)
    return 2 * shared / (len(first) + len(second))


def same(first: Action | None, second: Action | None) -> bool:
    """Whether operation, element and value are equal, however many blanks the value has."""
    if first is None or second is None:
        return first is second
    return first[:2] == second[:2] and _plain(first.value) == _plain(second.value)


def _plain(value: str | None) -> str | None:
    return None if value is None else " ".join(value.split())


def _value(rest: str) -> str | None:
    """What stands in brackets behind one blank at the beginning of a text, on one line."""
    if re.match(r"\s\[", rest) is None:
        return None
    line, depth = rest[2:].partition("\n")[0], 1
    for place, sign in enumerate(line):
        depth += (sign == "[") - (sign == "]")
        if depth == 0:
            return line[:place] or None
    inside, closed, _ = line.partition("]")
    return inside if closed and inside else None
