"""A task's page between an episode's beginning and its end: reset, observed, and acted on primitive by primitive."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from agentlab_runner.envs.browser.cdp import Lost, Refused
from agentlab_runner.envs.browser.chromium import Missing
from agentlab_runner.envs.browser.page import Failed, Page
from agentlab_runner.envs.browser.settings import BrowserSettings
from agentlab_runner.envs.miniwob import flight
from agentlab_runner.envs.miniwob.catalog import FLIGHT, RELOADED, folder, page
from agentlab_runner.envs.miniwob.primitives import Primitive

WINDOW = (500, 320)
"""As the package opens it; a task's area is its upper left corner."""
AREA = (0, 0, 160, 210)
FLIGHT_WINDOW, FLIGHT_AREA = (600, 800), (0, 0, 375, 667)
QUIET = 1000
"""Milliseconds that a page has for what it shows after an action: as long as the original waits always."""
READY = 4000
"""Milliseconds that a task has to build its page: a pie opens slowly."""
BESIDE = ("click-dialog", "click-dialog-2", "use-autocomplete", "choose-date")
"""Tasks that show something outside `#wrap`, which their html then has too."""
WHEEL = 50.0
ELEMENT = (
    dict.fromkeys(("ref", "left", "top", "width", "height", "controls"), (int, float))
    | dict.fromkeys(("tag", "kind", "text", "value", "id", "classes", "label", "colour", "ink", "frame"), (str,))
    | dict.fromkeys(("focused", "clickable", "visible"), (bool,)) | dict.fromkeys(("options", "chosen"), (list,))
)  # fmt: skip
"""What is said of each element, and of which type."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a primitive."""

    primitive: str
    fault: str
    """Why it did nothing, in words; "" if it did."""
    at: tuple[float, float] | None = None
    """Where the mouse was, in CSS pixels."""
    over: bool = False
    """Whether the task is done."""
    seen: dict[str, Any] | None = None
    """What `Stage.observe` gives then, if the task is done or this was the last."""


class Stage:
    """One page, which is kept from episode to episode.

    Args:
        settings: of the browser.
        mode: `train` or `test`: which of its texts a task draws.
        flights: whether the tasks are those of `catalog.FLIGHT`, or none of them is.
        compat: change the pages as those of Synapse's repository are changed (compat.js).

    Raises:
        Missing: if there is no browser.
    """

    def __init__(
        self, settings: BrowserSettings, mode: str = "train", flights: bool = False, compat: bool = False
    ) -> None:
        if flights and settings.kind == "endpoint":
            raise Missing(
                "flight tasks come from a server that only a browser of this run may reach; choose env/browser=chromium"
            )
        self.mode = mode
        self.area, self._window = (FLIGHT_AREA, FLIGHT_WINDOW) if flights else (AREA, WINDOW)
        self._settings = settings
        self._task = ""
        self._told: Mapping[str, Any] | None = None
        """Of the element that was aimed at last by its number, see `lab.told`."""
        self._scripts = ("page.js", "paths.js", *(["flight.js"] if flights else []), *(["compat.js"] if compat else []))
        self._server = flight.take(folder()) if flights else None
        self._pages = self._server.url if self._server else folder().as_uri()
        try:
            self.page = self._fresh()
        except BaseException:
            self._dismiss()
            raise

    def reset(self, task: str, seed: int) -> dict[str, Any]:
        """A new episode; gives what `observe` does.

        Raises:
            Lost: if the page does not come up.
        """
        try:
            if self.page.gone or self.page.left:
                self.page.close()
                self._task = ""
                self.page = self._fresh()
            away = (self._window[0] - 1, self._window[1] - 1)
            self.page.hover(*away)  # what lay under the mouse at the end would look otherwise at the beginning
            if task != self._task or task in RELOADED or task in FLIGHT:
                self._task = ""
                self.page.goto(f"{self._pages}/{page(task)}")
                self._task = task
        except (Failed, Missing, Refused) as fault:
            self._task = ""
            raise Lost(str(fault)) from fault
        self.page.dialogs.clear()
        return self._shown(self._ask("(...given) => lab.reset(...given)", seed, self.mode, READY))

    def observe(self) -> dict[str, Any]:
        """`done`, `raw` (reward), `reason`, `utterance`, `fields`, `html` and `elements` (see page.js) of now."""
        return self._shown(self._ask("() => lab.observe()"))

    def do(self, primitive: Primitive, last: bool = True) -> Done:
        """Do it and wait until the page is quiet; with the last of a block what is observed comes at once.

        Raises:
            Lost: if the page went away.
        """
        at: list[tuple[float, float]] = []
        self._told = None
        try:
            fault = self._do(primitive, at)
        except (Failed, Refused) as said:
            fault = str(said)
        done = Done(str(primitive), fault, at[-1] if at else None)
        if self.page.left:
            return done
        then = self._ask("(...given) => lab.settled(...given)", QUIET, last)
        if not isinstance(then, dict) or not {"over", "seen"} <= then.keys():
            self._task = ""
            raise Lost("the page is no longer what it was: it does not say whether the task is over")
        return replace(done, over=bool(then["over"]), seen=then["seen"] and self._shown(then["seen"]))

    def told(self, primitive: Primitive) -> tuple[Primitive, ...] | None:
        """What was done last by xpaths in place of numbers, on the page as it was.

        None if a program has no call for it; nothing if there was no such element, so that it did nothing.
        """
        given = primitive.arguments
        if primitive.name in ("drag", "scroll"):
            return None
        if not isinstance(given[0], int):
            return (primitive,)
        if self._told is None:
            return ()
        path, option, empty = (self._told[name] for name in ("path", "option", "empty"))
        match primitive.name:
            case "hover":
                return (Primitive("movemouse", (path,)),)
            case "select":
                return () if option is None else (Primitive("click_option", (option,)),)
            case "type":
                whole = () if empty else (Primitive("press", ("command+a",)),)
                return (Primitive("click_xpath", (path,)), *whole, Primitive("type", (given[1],)))
        return (Primitive("click_xpath", (path,)),)

    def close(self) -> None:
        self.page.close()
        self._dismiss()

    def _dismiss(self) -> None:
        if self._server:
            self._server = None
            flight.give()

    def _fresh(self) -> Page:
        fresh = Page(self._settings, self._window, self._server.hosts if self._server else "")
        try:
            for script in self._scripts:
                fresh.before_scripts(files(__package__).joinpath(script).read_text("utf-8"))
        except BaseException:
            fresh.close()
            raise
        return fresh

    def _ask(self, script: str, *given: Any) -> Any:
        """What is always there to be asked; a page that no longer has it is lost, and loaded anew next time."""
        try:
            return self.page.evaluate(script, *given)
        except (Failed, Refused) as fault:
            self._task = ""
            raise Lost(f"the page is no longer what it was: {fault}") from fault

    def _shown(self, seen: dict[str, Any]) -> dict[str, Any]:
        if not _is_seen(seen):
            self._task = ""
            raise Lost("the page is no longer what it was: what it shows of itself has another form")
        html = seen["html"]
        beside = html["beside"] if self._task in BESIDE else []
        return {**seen, "html": "\n".join([html["wrap"], *beside])}

    def _do(self, primitive: Primitive, at: list[tuple[float, float]]) -> str:
        page, given = self.page, primitive.arguments
        match primitive.name:
            case "type" if len(given) == 1:
                page.type(str(given[0]))
            case "press":
                page.press(str(given[0]).replace("command", "control"))
            case "click_xpath" | "click":
                return self._click(given[0], at)
            case "click_option":
                return self._each(given[0], lambda n: self._choose(n, None))
            case "select":
                return self._aim(given[0], given[1])[1] or self._choose(0, given[1])
            case "movemouse" | "hover":
                return self._hover(given[0], at)
            case "type":
                if fault := self._click(given[0], at):
                    return fault
                page.press("control+a")
                page.type(str(given[1]))
            case "drag":
                return self._drag(given[0], given[1], at)
            case "scroll":
                return self._scroll(given[0], -WHEEL if given[1] == "up" else WHEEL, at)
        return ""

    def _click(self, where: int | str, at: list[tuple[float, float]]) -> str:
        """Every match in turn, as the original does; one under another gets ENTER, and then it is over."""
        matches, fault = self._aim(where)
        done = 0
        for match in self._in_turn(matches):
            if match["tag"] == "option":
                fault = self._choose(match["n"], None) or fault
                done += 1
            elif match["point"] is None and match["tag"] == "button" and not match["why"].startswith("hidden"):
                self.page.evaluate("(n) => lab.press(n)", match["n"])
                done += 1
            elif match["point"] is None:
                fault = f"{match['name']} is {match['why']}"
            else:
                self.page.click(*match["point"])
                at.append(tuple(match["point"]))
                done += 1
        return "" if done else fault

    def _hover(self, where: int | str, at: list[tuple[float, float]]) -> str:
        matches, fault = self._aim(where)
        for match in self._in_turn(matches):
            if match["point"] is None:
                return f"{match['name']} is {match['why']}"
            self.page.hover(*match["point"])
            at.append(tuple(match["point"]))
        return fault

    def _drag(self, start: int | str, end: int | str, at: list[tuple[float, float]]) -> str:
        (first, fault), (last, other) = self._aim(start), self._aim(end)
        if fault or other or first[0]["point"] is None:
            return fault or other or f"{first[0]['name']} is {first[0]['why']}"
        target = last[0]["point"]
        if target is None:
            return f"{last[0]['name']} is {last[0]['why']}"
        self.page.drag(tuple(first[0]["point"]), tuple(target))
        at.append(tuple(target))
        return ""

    def _scroll(self, where: int | str, down: float, at: list[tuple[float, float]]) -> str:
        matches, fault = self._aim(where)
        if fault or matches[0]["point"] is None:
            return fault or f"{matches[0]['name']} is {matches[0]['why']}"
        x, y = matches[0]["point"]
        self.page.scroll(x, y, down)
        at.append((x, y))
        return ""

    def _each(self, where: int | str, act: Any) -> str:
        matches, fault = self._aim(where)
        faults = [act(match["n"]) for match in matches]
        return fault or (faults[0] if all(faults) else "")

    def _in_turn(self, matches: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Each where it is when its turn comes."""
        for match in matches:
            yield match if len(matches) == 1 else self.page.evaluate("(n) => lab.again(n)", match["n"])

    def _choose(self, n: int, text: int | str | None) -> str:
        """Of what was aimed at last, the n-th."""
        return str(self.page.evaluate("(...given) => lab.choose(...given)", n, text))

    def _aim(self, where: int | str, text: int | str | None = None) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Matches with a point of each, and why there is none.

        Args:
            text: of the option in it that will be chosen.
        """
        found = self.page.evaluate("(...given) => lab.aim(...given)", where, text)
        self._told = found.get("told")
        if "fault" in found:
            return [], f"{found['fault']}: {where}"
        if not found["matches"]:
            return [], f"nothing matches {where}"
        return found["matches"], ""


def _is_seen(seen: Any) -> bool:
    """Whether it has the form of what `lab.observe` gives; a page may have put another in its place."""
    if not isinstance(seen, dict) or not isinstance(seen.get("html"), dict):
        return False
    texts = [seen.get("utterance"), seen["html"].get("wrap")]
    lists = [seen["html"].get("beside"), seen.get("elements")]
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(one, list) for one in lists)
        and all(isinstance(text, str) for text in lists[0] or ())
        and all(_is_element(element) for element in lists[1] or ())
        and isinstance(seen.get("done"), bool)
        and (isinstance(seen.get("raw"), int | float) or not seen["done"])
    )


def _is_element(element: Any) -> bool:
    return isinstance(element, dict) and all(isinstance(element.get(name), kinds) for name, kinds in ELEMENT.items())
