"""What an expert is shown of a page, and the words it has for what it does there."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agentlab_runner.envs.miniwob.primitives import Primitive
from agentlab_runner.envs.miniwob.stage import Stage

READ = """(xpath, name) => lab.select(xpath).map((one) => name === '' ? one.textContent.trim()
  : String(one.getAttribute(name) ?? one[name] ?? ''))"""


@dataclass(frozen=True, slots=True)
class View:
    """A page in the middle of an episode."""

    goal: str
    stage: Stage
    fields: Mapping[str, str]
    """What the task asks for by name, where its page says so."""
    whole: bool
    """Whether the page is seen as its html, with what the screen hides."""

    def read(self, xpath: str, name: str = "") -> list[str]:
        """The texts of all that an xpath matches, or an attribute or property of each."""
        found: list[str] = self.stage.page.evaluate(READ, xpath, name)
        return found

    def count(self, xpath: str) -> int:
        return len(self.read(xpath))

    @property
    def quoted(self) -> list[str]:
        """What the task puts in quotes."""
        return re.findall(r'"([^"]*)"', self.goal)

    def between(self, before: str, after: str) -> str:
        """What stands between two texts of the task."""
        return self.goal.split(before, 1)[1].rsplit(after, 1)[0].strip()


Expert = Callable[[View], Sequence[Primitive]]
"""Gives what to do up to where the page has to be looked at again; there it is asked once more."""

EXPERTS: dict[str, Expert] = {}


def does(*tasks: str) -> Callable[[Expert], Expert]:
    """This is how these tasks are done."""

    def known(expert: Expert) -> Expert:
        EXPERTS.update(dict.fromkeys(tasks, expert))
        return expert

    return known


def click(xpath: str) -> Primitive:
    return Primitive("click_xpath", (xpath,))


def write(text: str) -> Primitive:
    return Primitive("type", (text,))


def press(key: str) -> Primitive:
    return Primitive("press", (key,))


def choose(xpath: str) -> Primitive:
    return Primitive("click_option", (xpath,))


def hover(xpath: str) -> Primitive:
    return Primitive("movemouse", (xpath,))


def fill(xpath: str, text: str) -> list[Primitive]:
    """Write into an empty field."""
    return [click(xpath), write(text)]


def said(text: str) -> str:
    """A text as xpaths have it."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    parts = ", \"'\", ".join(f"'{part}'" for part in text.split("'"))
    return f"concat({parts})"


SUBMIT = click("//button[text()='Submit']")
BUTTON = click("//*[@id='subbtn']")
