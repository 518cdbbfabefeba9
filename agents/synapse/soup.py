"""Pages for code filters: as much of BeautifulSoup as the programs of the original use, and nothing that runs."""

from collections.abc import Callable, Sequence
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

from agentlab_runner.agents.llm.programs.language import ENTRIES, SIZE, Foreign, Refused


class Node(Foreign):
    """An element of a page: its text, its attributes, and what is found in it."""

    ATTRIBUTES = frozenset({"text", "name", "attrs", "string", "children", "contents", "parent", "next_sibling"})
    METHODS = frozenset({"find", "find_all", "findAll", "get_text", "get", "has_attr", "select", "select_one"})

    def __init__(self, tag: Tag) -> None:
        self._tag = tag

    @property
    def text(self) -> str:
        return str(self._tag.get_text())

    @property
    def name(self) -> str:
        return str(self._tag.name)

    @property
    def attrs(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, list) else value for name, value in self._tag.attrs.items()}

    @property
    def string(self) -> str | None:
        return None if self._tag.string is None else str(self._tag.string)

    @property
    def contents(self) -> list[Any]:
        return [_of(child) for child in self._tag.children]

    children = contents

    @property
    def parent(self) -> Any:
        return _of(self._tag.parent)

    @property
    def next_sibling(self) -> Any:
        return _of(self._tag.next_sibling)

    def find(self, name: Any = None, attrs: Any = None, **named: Any) -> Any:
        return _of(self._tag.find(_plain(name), **_asked(attrs, named)))

    def find_all(self, name: Any = None, attrs: Any = None, limit: Any = None, **named: Any) -> list[Any]:
        found = self._tag.find_all(_plain(name), **_asked(attrs, named), limit=min(limit or ENTRIES, ENTRIES))
        return [_of(one) for one in found]

    findAll = find_all

    def select(self, selector: str) -> list[Any]:
        if len(selector) > 200:
            raise Refused("a selector is too long")
        return [_of(one) for one in self._tag.select(selector, limit=ENTRIES)]

    def select_one(self, selector: str) -> Any:
        return next(iter(self.select(selector)), None)

    def get_text(self, separator: str = "", strip: bool = False) -> str:
        return str(self._tag.get_text(separator=str(separator), strip=bool(strip)))

    def get(self, name: str, default: Any = None) -> Any:
        return self.attrs.get(str(name), default)

    def has_attr(self, name: str) -> bool:
        return str(name) in self._tag.attrs

    def __getitem__(self, name: str) -> Any:
        return self.attrs[name]

    def __str__(self) -> str:
        return str(self._tag)


def parse(html: Any, parser: Any = "html.parser") -> Node:
    """`BeautifulSoup(html, "html.parser")`; other parsers are taken for that one."""
    if not isinstance(html, str) or len(html) > SIZE:
        raise Refused("BeautifulSoup is given no page, or one that is too long")
    return Node(BeautifulSoup(html, "html.parser"))


GIVEN: dict[str, Callable[..., Any]] = {"BeautifulSoup": parse}
"""What a code filter may call beside the language's own."""


def _of(found: Any) -> Any:
    if isinstance(found, Tag):
        return Node(found)
    return str(found) if isinstance(found, NavigableString) else None


def _asked(attrs: Any, named: dict[str, Any]) -> dict[str, Any]:
    """Attributes by name; `class_` is the class, as there."""
    wanted = {str(name): _plain(value) for name, value in (attrs if isinstance(attrs, dict) else {}).items()}
    if isinstance(attrs, str):
        wanted["class"] = attrs
    for name, value in named.items():
        wanted["class" if name == "class_" else name] = _plain(value)
    recursive = wanted.pop("recursive", True)
    return {"attrs": wanted, "recursive": bool(recursive)}


def _plain(value: Any) -> Any:
    """What may be looked for: a text, several, or whether there is one. No pattern and no function."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Sequence) and all(isinstance(one, str) for one in value):
        return list(value)
    raise Refused(f"{type(value).__name__} is nothing to look for on a page")
