"""A phone reached by its shell alone: what adb and android_env have in common."""

import io
import re
import shlex
import time
import unicodedata
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from agentlab_runner.envs.android.device import DeviceLost, DeviceUnavailable, Key, NotTyped, TaskSpec, UiNode
from agentlab_runner.envs.android.devices.adb_services import COMMAND, NOT_FOUND, task_to_json

_DUMP = "/sdcard/window_dump.xml"
_PIECE = 200
"""Characters one `input text` types; some phones cut longer command lines."""
_SIZE = re.compile(r"(Physical|Override) size: (\d+)x(\d+)")
_PLAIN = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014\t", "''\"\"-- ")
"""Quotes and dashes that printers use, and tabs."""
_FIELD = re.compile("Edit|AutoComplete")
_FOCUS = re.compile(r"mCurrentFocus=.*?\s([\w.$]+/[\w.$]+)")


class NotSent(Exception):
    """The phone did not get the request."""


class AnswerLost(Exception):
    """The phone may have got the request; its answer did not arrive whole."""


class ShellPhone(ABC):
    """`PhoneDevice` by `screencap`, `input`, `uiautomator dump` and their like: nothing is installed on the phone.

    A request that fails is made again after an attempt to reconnect; a phone that still does not answer is lost. An
    action whose answer alone was lost is not repeated, since the phone may have done it.

    The simulated phone sets tasks up and judges them over the wire (`agentlab-phone`). A real one cannot: its reset
    closes the app in front if it is a third party's and goes home, and only a judge can tell success.

    Args:
        serial: the phone's name in messages.
        scale: of screenshots, in (0, 1]; 0.25 makes 270 x 570 out of 1080 x 2280.
        retries: further tries after a failed request.
        retry_wait: seconds before the first of them, doubled for each.
        settle: seconds to wait after an action, so that the next screenshot shows what it did.

    Raises:
        ValueError: an option is out of its range.
    """

    blocking = True
    """Its calls wait for an answer; environments on such phones are worth stepping in threads."""

    def __init__(self, serial: str, scale: float, retries: int, retry_wait: float, settle: float) -> None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale is {scale}; give a share of the screen's size in (0, 1], such as 0.25")
        for name, value in (("retries", retries), ("retry_wait", retry_wait), ("settle", settle)):
            if value < 0:
                raise ValueError(f"{name} is {value}; it cannot be negative")
        self.serial = serial
        self.scale = scale
        self.retries = retries
        self.retry_wait = retry_wait
        self.settle = settle
        self._screen: tuple[int, int] | None = None

    @abstractmethod
    def _send(self, command: str) -> tuple[bytes, int]:
        """Output and exit code of a shell command; raises NotSent or AnswerLost."""

    @abstractmethod
    def _reconnect(self) -> None:
        """Try to bring the phone back; whether that helped shows at the next request."""

    @abstractmethod
    def _advice(self, reason: object) -> str:
        """Why the phone does not answer, and what its owner can do."""

    @property
    def screen(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        if self._screen is None:
            sizes = {name: (int(width), int(height)) for name, width, height in _SIZE.findall(self.shell("wm size"))}
            if not sizes:
                raise DeviceLost(f"phone {self.serial} does not tell its screen size; try `adb shell wm size`")
            self._screen = sizes.get("Override") or sizes["Physical"]
        return self._screen

    @property
    def judges(self) -> bool:
        """Whether it can tell that a task is done; a real phone cannot."""
        return self._ask(COMMAND, codes=None)[1] != NOT_FOUND

    def reset(self, task: TaskSpec | None, seed: int) -> None:
        code = self._ask(f"{COMMAND} reset {shlex.quote(task_to_json(task))} {seed}", codes=(0, NOT_FOUND))[1]
        if code == NOT_FOUND:
            self._go_home()

    def screenshot(self) -> NDArray[np.uint8]:
        image = self._decoded()
        size = round(self.screen[0] * self.scale), round(self.screen[1] * self.scale)
        return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BOX))

    def tap(self, x: int, y: int) -> None:
        self._act(f"input tap {x} {y}")

    def swipe(self, x0: int, y0: int, x1: int, y1: int, duration_ms: int = 300) -> None:
        self._act(f"input swipe {x0} {y0} {x1} {y1} {duration_ms}")

    def type_text(self, text: str) -> None:
        """Printable ASCII, which is all that `input text` knows; accents are dropped, line breaks become blanks.

        What the focused field then shows is read. Where keys were dropped it is taken back and typed again, and when
        that does not help a warning says so.

        Raises:
            NotTyped: some of it has no plain form.
        """
        pieces = text_pieces(text)
        typed, before = "".join(pieces), self._field() if pieces else None
        for attempt in range(self.retries + 1):
            for piece in pieces:
                self._act(f"input text {shlex.quote(piece.replace(' ', '%s'))}")
            shown = None if before is None else self._field()
            came = None if before is None or shown is None else arrived(before, typed, shown)
            if came is None:
                return
            if attempt < self.retries and came:
                self._act(f"input keyevent {' '.join([str(int(Key.DEL))] * came)}")
        warnings.warn(f"{typed!r} was typed on {self.serial}, which shows {shown!r}: it drops keys", stacklevel=2)

    def keyevent(self, key: Key) -> None:
        self._act(f"input keyevent {int(key)}")

    def ui_tree(self) -> UiNode:
        """The tree of `uiautomator dump`; the bare root, with a warning, on a screen that never comes to rest."""
        for _ in range(self.retries + 1):
            tree = self._dumped()
            if tree is not None:
                return tree
            time.sleep(self.retry_wait)
        warnings.warn(f"uiautomator found no tree on {self.serial}; its screen may never come to rest", stacklevel=2)
        return UiNode("android.widget.FrameLayout", (0, 0, *self.screen))

    def current_activity(self) -> str:
        found = _FOCUS.search(self.shell("dumpsys window"))
        return found[1] if found else ""

    def shell(self, command: str) -> str:
        """Output of a shell command, whatever its exit code."""
        return self._ask(command, codes=None)[0].decode(errors="replace")

    def task_success(self, task: TaskSpec) -> bool:
        output, code = self._ask(f"{COMMAND} success {shlex.quote(task_to_json(task))}", codes=(0, NOT_FOUND))
        if code == NOT_FOUND:
            raise DeviceUnavailable(
                f"phone {self.serial} is a real one and cannot tell whether a task is done; use env/evaluator=judge"
            )
        return output.strip() == b"true"

    def snapshot(self) -> Any:
        raise DeviceUnavailable("a phone behind adb has no snapshots; use env/device=sim where they are needed")

    def restore(self, snapshot: Any) -> None:
        self.snapshot()

    def close(self) -> None:  # noqa: B027 - a subclass that holds something open overrides it
        """Nothing stays open between two requests."""

    # Requests

    def _dumped(self) -> UiNode | None:
        """The tree, if the screen has come to rest; the file of an earlier dump is not taken for it."""
        from agentlab_runner.envs.android.ui_xml import from_xml

        said, _ = self._ask(f"uiautomator dump {_DUMP}", codes=None)
        if b"dumped to" not in said:
            return None
        output, code = self._ask(f"cat {_DUMP}", codes=None)
        return from_xml(output.decode(errors="replace")) if code == 0 and b"</hierarchy>" in output else None

    def _field(self) -> str | None:
        """What stands in the text field that has the keyboard; None where none is seen."""
        tree = self._dumped()
        return None if tree is None else next((node.text for node in _flat(tree) if _is_field(node)), None)

    def _act(self, command: str) -> None:
        self._ask(command, once=True)
        if self.settle:
            time.sleep(self.settle)

    def _ask(self, command: str, codes: Sequence[int] | None = (0,), once: bool = False) -> tuple[bytes, int]:
        """Output and exit code; an exit code outside `codes` is a failure too. `once`: not again if it may be done."""
        wait = self.retry_wait
        reason: object = None
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(wait)
                wait *= 2
                self._reconnect()
            try:
                output, code = self._send(command)
                if codes is None or code in codes:
                    return output, code
                reason = f"`{command.split()[0]}` failed: {output.decode(errors='replace').strip()}"
            except NotSent as error:
                reason = error
            except AnswerLost as error:
                if once:
                    return b"", 0
                reason = error
        raise DeviceLost(f"phone {self.serial} is lost: {self._advice(reason)}")

    def _decoded(self) -> Image.Image:
        for _ in range(self.retries + 1):
            png, _ = self._ask("screencap -p")
            try:
                return Image.open(io.BytesIO(png)).convert("RGB")
            except (UnidentifiedImageError, OSError, SyntaxError):
                continue
        raise DeviceLost(f"phone {self.serial} sent {self.retries + 1} broken screenshots; check its cable or emulator")

    def _go_home(self) -> None:
        """As near to a fresh start as a real phone gets without losing its owner's data."""
        package = self.current_activity().split("/")[0]
        if package and f"package:{package}" in self.shell("pm list packages -3").split():
            self.shell(f"am force-stop {shlex.quote(package)}")
        self.keyevent(Key.HOME)


def _flat(node: UiNode) -> Iterator[UiNode]:
    yield node
    for child in node.children:
        yield from _flat(child)


def _is_field(node: UiNode) -> bool:
    return node.focused and bool(_FIELD.search(node.class_name))


def arrived(before: str, typed: str, shown: str) -> int | None:
    """How many of the characters typed a field shows, if it has dropped some.

    None where it shows all of them, or something else than what dropped keys leave, as a field does that formats what
    is typed or hides it; and where it cannot be told from the hint of an empty field.
    """
    start = before if shown.startswith(before) else ""
    came = shown[len(start) :]
    if came == typed or not _is_part(came, typed) or (start and _is_part(shown, typed)):
        return None
    return len(came)


def _is_part(some: str, whole: str) -> bool:
    """Whether `some` is `whole` with characters left out."""
    rest = iter(whole)
    return all(letter in rest for letter in some)


def text_pieces(text: str) -> list[str]:
    """`text` as what `input text` can type, one command a piece.

    The command reads `%s` as a blank and has no way to escape it, so a literal one is cut in two.

    Raises:
        NotTyped: a character has no plain form, as an emoji has none.
    """
    decomposed = unicodedata.normalize("NFKD", " ".join(text.splitlines()).translate(_PLAIN))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    odd = "".join(dict.fromkeys(letter for letter in plain if not " " <= letter <= "~"))
    if odd:
        raise NotTyped(f"adb types printable ASCII only, so nothing of {text!r} was typed: {odd!r} has no plain form")
    pieces = re.split(r"(?<=%)(?=s)", plain)
    return [piece[start : start + _PIECE] for piece in pieces for start in range(0, len(piece), _PIECE)]
