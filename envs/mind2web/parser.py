"""Between what an agent writes and an action on an element of the page."""

import re

from agentlab_runner.envs.mind2web.actions import OPS, Action, quoted, read, same

API = """\
The page is html in which elements that can be acted on have an id. Write one action, on a line of its own, such as
CLICK [id]   clicks the element with this id
TYPE [id] [value]   types a text into it
SELECT [id] [value]   chooses a value in it"""
LABELS = (*OPS, "ELEMENT")
"""The last: an element without an operation."""
MOST_WORDS = 4
"""Of the task, that are typed in one go."""
_ELEMENT = re.compile(r"<(\w+) id=([^\s/>]+)[^<>]*>")
_OPTION = re.compile(r"<option\b[^<>]*>([^<>]+)</option>")


class ElementParser:
    """Reads actions as Mind2Web's scores do: between the first backticks if there are any, the first there is."""

    labels: tuple[str, ...] = LABELS
    api = API

    def parse(self, text: str) -> Action | None:
        """The action a text means, or None if it means none."""
        return read(quoted(text))

    def render(self, action: Action) -> str:
        """What to write for an action."""
        return str(action)

    def label(self, action: Action) -> int:
        """Class of an action: its operation."""
        return LABELS.index(action.op or "ELEMENT")

    def same(self, first: Action, second: Action) -> bool:
        """Whether two actions do the same."""
        return same(first, second)

    def offered(self, page: str, goal: str) -> list[str]:
        """What can be done on a page as observations show it: each element clicked, words of the task typed into
        fields, options of lists chosen."""
        found: list[str] = []
        for element in _ELEMENT.finditer(page):
            tag, key = element[1], element[2]
            if tag == "select":
                inside = page[element.end() :].partition("</select>")[0]
                found += [str(Action("SELECT", key, value.strip())) for value in _OPTION.findall(inside)]
            elif tag in ("input", "textarea"):
                found += [str(Action("TYPE", key, value)) for value in _stretches(goal)]
            found.append(str(Action("CLICK", key)))
        return list(dict.fromkeys(found)) or [str(Action("CLICK", "0"))]


def _stretches(goal: str) -> list[str]:
    """Up to `MOST_WORDS` words of a text that stand beside one another, marks at their ends left out."""
    words = goal.split()
    stretches = (" ".join(words[at : at + size]) for at in range(len(words)) for size in range(1, MOST_WORDS + 1))
    return [bare for one in stretches if (bare := one.strip(".,;:!?\"'()"))]
