"""What every phone can do, simulated or real, and the faults it may raise."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Key(IntEnum):
    """Android key codes the AitW actions need."""

    HOME = 3
    BACK = 4
    ENTER = 66
    DEL = 67


class DeviceLost(ConnectionError):
    """The phone stopped answering and did not come back; the message says what was tried and what to do."""


class DeviceUnavailable(ConnectionError):
    """There is no such phone, or no adb; one sentence with the fix."""


class NotTyped(ValueError):
    """The phone has no way to type this text and has typed nothing of it; one sentence that says what it can type."""


@dataclass(frozen=True, slots=True)
class UiNode:
    """One node of the accessibility tree, as uiautomator reports it."""

    class_name: str
    bounds: tuple[int, int, int, int]
    """left, top, right, bottom in screen pixels."""
    text: str = ""
    resource_id: str = ""
    content_desc: str = ""
    clickable: bool = False
    focused: bool = False
    checked: bool = False
    scrollable: bool = False
    children: tuple["UiNode", ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A parametrised task; plain data, so that it can be sent to a phone on the other side of a wire."""

    template: str
    goal: str
    """What the user is told, in English."""
    level: int
    """1 easy, 2 medium, 3 hard."""
    params: tuple[tuple[str, str], ...] = ()
    """Sorted (name, value) pairs."""

    def __getitem__(self, name: str) -> str:
        return dict(self.params)[name]


class PhoneDevice(Protocol):
    """A phone. Coordinates are screen pixels; every call may raise DeviceLost."""

    @property
    def screen(self) -> tuple[int, int]:
        """(width, height) in pixels."""

    def reset(self, task: TaskSpec | None, seed: int) -> None:
        """A fresh home screen; where the phone can set a task's starting state up (the simulated one), it does."""

    def screenshot(self) -> NDArray[np.uint8]:
        """[H, W, 3]; H and W may be a scaled-down form of `screen` (same aspect ratio)."""

    def tap(self, x: int, y: int) -> None: ...

    def swipe(self, x0: int, y0: int, x1: int, y1: int, duration_ms: int = 300) -> None: ...

    def type_text(self, text: str) -> None:
        """Keystrokes into the focused field, a line break as a blank; without focus nothing happens.

        Raises:
            NotTyped: the phone cannot type this.
        """

    def keyevent(self, key: Key) -> None: ...

    def ui_tree(self) -> UiNode: ...

    def current_activity(self) -> str:
        """`package/activity` in front."""

    def shell(self, command: str) -> str:
        """Run a shell command on the phone; the simulated one knows what clients use of toybox, am, wm and input."""

    def task_success(self, task: TaskSpec) -> bool:
        """Whether the task is done now; raises DeviceUnavailable where the phone cannot tell (use a judge)."""

    def snapshot(self) -> Any:
        """A copy of the whole state; raises DeviceUnavailable where the phone has none."""

    def restore(self, snapshot: Any) -> None: ...

    def close(self) -> None: ...
