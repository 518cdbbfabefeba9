"""The tasks, on the pages of the package `miniwob`, which this room reads as files and never imports."""

import difflib
import importlib.util
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

LEFT_OUT = ("button-delay", "chase-circle", "hover-shape", "moving-items", "simon-says")
"""Pages that are no tasks: what is right depends on the clock, so their makers left them out (miniwob-plusplus 82)."""
RELOADED = frozenset({
    "book-flight", "book-flight-nodelay", "choose-date", "click-menu-2", "drag-cube", "drag-items", "drag-items-grid",
    "drag-sort-numbers", "form-sequence", "scroll-text", "search-engine", "stock-market", "use-autocomplete",
    "use-autocomplete-nodelay", "use-colorwheel", "use-colorwheel-2", "use-slider", "use-slider-2", "use-spinner",
})  # fmt: skip
"""Tasks whose page shows something of what was done in earlier episodes when it is only reset; a test finds them."""
FLIGHT = ("flight.AA", "flight.Alaska", "flight.Alaska-auto")
"""Forms of airlines' sites, larger than the others and on pages that need a server; none of `all`."""
SYNAPSE = (
    "book-flight", "choose-date", "choose-list", "click-button", "click-button-sequence", "click-checkboxes",
    "click-checkboxes-large", "click-checkboxes-soft", "click-checkboxes-transfer", "click-collapsible",
    "click-collapsible-2", "click-color", "click-dialog", "click-dialog-2", "click-link", "click-menu", "click-option",
    "click-pie", "click-scroll-list", "click-shades", "click-shape", "click-tab", "click-tab-2", "click-tab-2-hard",
    "click-test", "click-test-2", "click-widget", "copy-paste", "copy-paste-2", "count-shape", "email-inbox",
    "email-inbox-forward-nl", "email-inbox-forward-nl-turk", "email-inbox-nl-turk", "enter-date", "enter-password",
    "enter-text", "enter-text-dynamic", "enter-time", "find-word", "focus-text", "focus-text-2", "grid-coordinate",
    "guess-number", "identify-shape", "login-user", "login-user-popup", "multi-layouts", "multi-orderings",
    "navigate-tree", "read-table", "search-engine", "simple-algebra", "simple-arithmetic", "social-media",
    "social-media-all", "social-media-some", "terminal", "text-transform", "tic-tac-toe", "unicode-test",
    "use-autocomplete", "use-slider", "use-spinner",
)  # fmt: skip
"""The 64 tasks of Synapse (arXiv 2306.07863)."""

STEPS = {
    "book-flight": 2, "terminal": 2, "use-autocomplete": 2, "login-user": 3, "login-user-popup": 3, "guess-number": 10,
    "tic-tac-toe": 10,
}
"""Blocks that Synapse gives a task; one to each of the others."""


def folder() -> Path:
    """Where the package keeps its pages.

    Raises:
        ValueError: if it is not installed.
    """
    found = importlib.util.find_spec("miniwob")
    if found is None or not found.submodule_search_locations:
        raise ValueError("MiniWoB++ is not installed; pip install miniwob, or install agentlab with the extra web")
    return Path(next(iter(found.submodule_search_locations))) / "html"


@cache
def tasks() -> tuple[str, ...]:
    """Every task there is, 125 in miniwob 1.1.0."""
    found = sorted(file.stem for file in (folder() / "miniwob").glob("*.html"))
    return tuple(name for name in found if name not in LEFT_OUT)


def page(task: str) -> str:
    """Where a task's page lies in the package's folder."""
    return f"{task.replace('.', '/')}/wrapper.html" if task in FLIGHT else f"miniwob/{task}.html"


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Tasks by name; `all`, `synapse` and a `*` at the end of a name stand for several.

    Raises:
        ValueError: if one is none, or flight tasks are among others.
    """
    known, found = (*tasks(), *FLIGHT), dict[str, None]()
    for name in names:
        if name == "all":
            several: Sequence[str] = tasks()
        elif name == "synapse":
            several = SYNAPSE
        elif name.endswith("*"):
            several = [one for one in known if one.startswith(name[:-1])]
        else:
            several = [name] if name in known else []
        if not several:
            raise ValueError(_unknown(name, known))
        found |= dict.fromkeys(several)
    if 0 < len(found.keys() & set(FLIGHT)) < len(found):
        raise ValueError(
            f"env.tasks has {next(name for name in found if name in FLIGHT)} among tasks of another size; the flight "
            "tasks are played by themselves: env.tasks=[flight.*]"
        )
    return tuple(found)


def _unknown(name: str, known: Sequence[str]) -> str:
    if name in LEFT_OUT:
        return (
            f"{name} is a page of MiniWoB++ and no task: what is right depends on the clock, so its makers left it "
            "out; choose another of env.tasks"
        )
    bare = re.sub(r"^(?:browsergym/)?miniwob[./]|-v\d+$", "", name)  # as BrowserGym and Gymnasium call them
    near = [bare] if bare in known else difflib.get_close_matches(bare, known, 3)
    meant = f"did you mean {', '.join(near)}?" if near else "env.tasks takes names, NAME* for several, synapse or all"
    return f"there is no task {name!r} in MiniWoB++; {meant}"
