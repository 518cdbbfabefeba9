"""Between what an agent writes and an action on an element of the page."""

from agentlab_runner.envs.mind2web.actions import OPS, Action, quoted, read, same

API = """\
The page is html in which elements that can be acted on have an id. Write one action, on a line of its own, such as
CLICK [id]   clicks the element with this id
TYPE [id] [value]   types a text into it
SELECT [id] [value]   chooses a value in it"""
LABELS = (*OPS, "ELEMENT")
"""The last: an element without an operation."""


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
