"""One page: scripts are evaluated in it, and a mouse and a keyboard act on it as a person's would."""

import base64
import io
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agentlab_runner.envs.browser import chromium
from agentlab_runner.envs.browser.cdp import Lost, Refused
from agentlab_runner.envs.browser.keys import MODIFIERS, describe, of_character
from agentlab_runner.envs.browser.settings import BrowserSettings

GRACE = 1.0
"""Seconds for a script that was cut to answer."""
DRAG_STEPS = 4


class Failed(ValueError):
    """A script threw; the page is as it is."""


class Page:
    """A page of its own context: no cookie, cache or window is shared with another.

    Dialogs are dismissed, pop-ups closed, downloads denied, scripts that hold the page up are cut, and where it goes
    instead of the address it was sent to is noted in `left`. Coordinates are CSS pixels from the window's upper left
    corner.

    Args:
        settings: of the browser, which is started if there is none with room.
        size: width and height of the window.
        hosts: names that resolve in it (`chromium.Browser`).

    Raises:
        chromium.Missing: if there is no browser to be had.
        Lost: if it went away meanwhile.
    """

    def __init__(self, settings: BrowserSettings, size: tuple[int, int], hosts: str = "") -> None:
        self.browser = chromium.take(settings, hosts)
        self.cdp = self.browser.cdp
        self.left = ""
        """Where it went by itself."""
        self.dialogs: list[str] = []
        """What dialogs said, since the last `goto`."""
        self._loaded = threading.Event()
        self._home = "about:blank"
        self._lost = ""
        self._session = ""
        self._open = True
        try:
            self._context = self.cdp.call("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
            made = self.cdp.call(
                "Target.createTarget", url="about:blank", browserContextId=self._context, width=size[0], height=size[1]
            )
            self.browser.targets.add(made["targetId"])
            attached = self.cdp.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
            self._session = attached["sessionId"]
            self.cdp.listen(self._session, self._on)
            for domain in ("Page", "Runtime", "Inspector"):
                self._call(f"{domain}.enable")
            self._call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1,
                       mobile=False)  # fmt: skip
            self.cdp.call("Browser.setDownloadBehavior", behavior="deny", browserContextId=self._context)
        except BaseException as fault:
            self.browser.hangs = self.browser.hangs or isinstance(fault, Lost)
            self.close()
            raise

    def before_scripts(self, source: str) -> None:
        """Have a script run in every page loaded from now on, before its own."""
        self._call("Page.addScriptToEvaluateOnNewDocument", source=source)

    # -- where it is ---------------------------------------------------------------------------------------------------

    def goto(self, url: str) -> None:
        """Load an address and wait until it has loaded.

        Raises:
            Lost: if that takes too long, or the page went away.
            Failed: if there is nothing at the address.
        """
        self._loaded.clear()
        self._home, self.left, self.dialogs = url, "", []
        answer = self._call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise Failed(f"{url} cannot be loaded: {answer['errorText']}")
        if not self._loaded.wait(self.cdp.patience):
            self._lost = self.gone or f"{url} has not loaded within {self.cdp.patience:g} s"
        if self._lost:
            raise Lost(self._lost)

    def evaluate(self, script: str, *arguments: Any) -> Any:
        """What a JavaScript function gives for JSON arguments, as JSON; promises are waited for.

        Raises:
            Failed: if it throws.
            Lost: if the page does not answer.
        """
        expression = f"({script})(...JSON.parse({json.dumps(json.dumps(arguments))}))"
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if thrown := answer.get("exceptionDetails"):
            raise Failed(_first_line(thrown))
        return answer["result"].get("value")

    def screenshot(self, area: tuple[int, int, int, int] | None = None) -> NDArray[np.uint8]:
        """What it looks like, uint8 [H, W, 3]; `area` is left, top, width, height."""
        shot = self._call("Page.captureScreenshot", format="png", optimizeForSpeed=True)  # a clip waits a frame more
        with Image.open(io.BytesIO(base64.b64decode(shot["data"]))) as picture:
            whole = np.asarray(picture.convert("RGB"))
        left, top, width, height = area or (0, 0, whole.shape[1], whole.shape[0])
        return whole[top : top + height, left : left + width].copy()

    # -- mouse and keyboard --------------------------------------------------------------------------------------------

    def click(self, x: float, y: float) -> None:
        """Move there, press and release the left button; returns when the page has handled it."""
        self._mouse(("mouseMoved", x, y, 0), ("mousePressed", x, y, 1), ("mouseReleased", x, y, 1))

    def hover(self, x: float, y: float) -> None:
        """Move there; the release of no button, of which the page hears nothing, spares the wait for a frame."""
        self._mouse(("mouseMoved", x, y, 0), ("mouseReleased", x, y, 0))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one place, move, and release at another."""
        ways = [(start[0] + (end[0] - start[0]) * k / DRAG_STEPS, start[1] + (end[1] - start[1]) * k / DRAG_STEPS)
                for k in range(1, DRAG_STEPS + 1)]  # fmt: skip
        self._mouse(("mouseMoved", *start, 0), ("mousePressed", *start, 1))
        for way in ways:  # one by one: a page may move what is dragged only when it has seen the last move
            self._mouse(("mouseMoved", *way, 1))
        self._mouse(("mouseReleased", *end, 1))

    def scroll(self, x: float, y: float, down: float) -> None:
        """Turn the wheel over a place, by CSS pixels."""
        event = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": down}
        self._call("Input.dispatchMouseEvent", **event)

    def type(self, text: str) -> None:
        """Strike a key for each character, so that pages see keydown, keypress, input and keyup."""
        self._keys([of_character(character) for character in text])

    def press(self, key: str) -> None:
        """Strike a key by its name, with modifiers before it: `enter`, `control+a`.

        Raises:
            ValueError: if there is none of that name.
        """
        *held, name = key.lower().split("+") if len(key) > 1 else [key]
        modifiers = sum(MODIFIERS[one] for one in held)
        self._keys([describe(name, modifiers)])

    # -- its end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close it, and its browser if it was the last."""
        if not self._open:
            return
        self._open = False
        self.cdp.listen(self._session, None)
        self.cdp.abandon(self._session, "the page was closed")
        with suppress(Lost, Refused, AttributeError):
            self.cdp.call("Target.disposeBrowserContext", browserContextId=self._context, patience=GRACE)
        chromium.give(self.browser)

    @property
    def gone(self) -> str:
        """Why it cannot be used any more; "" if it can."""
        return self._lost or self.cdp.lost

    def _on(self, method: str, said: Mapping[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(str(said.get("message", ""))[:500])
            self._post("Page.handleJavaScriptDialog", accept=said.get("type") in ("alert", "beforeunload"))
        elif method == "Page.frameNavigated":
            frame = said["frame"]
            if "parentId" not in frame and frame["url"] not in (self._home, "about:blank"):  # a # stands apart
                self.left = self.left or str(frame["url"])[:500]
        elif method == "Inspector.targetCrashed":
            self._lost = "the page crashed"
            self._loaded.set()
            self.cdp.abandon(self._session, self._lost)

    def _mouse(self, *events: tuple[str, float, float, int]) -> None:
        """Events sent together; what each has come to is waited for, so that what is evaluated next sees it."""
        posted = []
        for kind, x, y, buttons in events:
            held = buttons if kind != "mouseReleased" else 0
            posted.append(self._post("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=held,
                                     button="left" if buttons else "none",
                                     clickCount=int(buttons > 0 and kind != "mouseMoved")))  # fmt: skip
        for one in posted:
            self._answer(one, "Input.dispatchMouseEvent")

    def _keys(self, strokes: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        posted = [self._post("Input.dispatchKeyEvent", **event) for stroke in strokes for event in stroke]
        for one in posted:
            self._answer(one, "Input.dispatchKeyEvent")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._answer(self._post(method, **parameters), method)

    def _answer(self, posted: "Future[dict[str, Any]]", method: str) -> dict[str, Any]:
        """What a command comes to; a script of the page's that holds it up is cut, and a page that then is silent lost.

        Raises:
            Failed: if it was itself what was cut.
            Lost, Refused: as `Cdp.answer`.
        """
        try:
            return self.cdp.answer(posted, method)
        except Lost as fault:
            if self.gone:
                raise
            self._post("Runtime.terminateExecution")
            try:
                return self.cdp.answer(posted, method, GRACE)
            except Refused as cut:
                raise Failed(f"it was cut when it had not ended within {self.cdp.patience:g} s") from cut
            except Lost:
                self._lost = self.gone or str(fault)
                raise

    def _post(self, method: str, **parameters: Any) -> "Future[dict[str, Any]]":
        if self._lost:
            raise Lost(self._lost)
        return self.cdp.post(method, self._session, **parameters)


def _first_line(thrown: Mapping[str, Any]) -> str:
    exception = thrown.get("exception", {})
    said = str(exception.get("description") or exception.get("value") or thrown.get("text", "a script failed"))
    return said.splitlines()[0][:300]
