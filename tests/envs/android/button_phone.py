"""A phone small enough to read at a glance: a button in the upper left and a text field below it."""

import shlex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.envs.android.device import DeviceLost, Key, TaskSpec, UiNode
from agentlab_runner.envs.android.sim.shell import png

SCREEN = (108, 228)
BUTTON = (0, 0, 54, 57)
FIELD = (0, 114, 108, 171)


class ButtonPhone:
    """The task is done once the button was tapped; `log` holds every call that acts on the phone."""

    screen = SCREEN

    def __init__(self, lost_after: int | None = None, comes_back: bool = True, white_screens: int = 0) -> None:
        self.log: list[Any] = []
        self.files = {"/sdcard/notes.txt": "buy tea\n"}
        self.pressed = False
        self.typed = ""
        self.focused = False
        self.lost_after = lost_after
        self.comes_back = comes_back
        self.white_screens = white_screens
        self.resets: list[tuple[TaskSpec | None, int]] = []

    def _act(self, *call: Any) -> None:
        if self.lost_after is not None and len(self.log) >= self.lost_after:
            raise DeviceLost("the phone was unplugged; plug it in again")
        self.log.append(call)

    def reset(self, task: TaskSpec | None, seed: int) -> None:
        if self.lost_after is not None and len(self.log) >= self.lost_after:
            if not self.comes_back:
                raise DeviceLost("the phone was unplugged; plug it in again")
            self.lost_after = None
        self.resets.append((task, seed))
        self.pressed, self.typed, self.focused = False, "", False

    def screenshot(self) -> NDArray[np.uint8]:
        if self.white_screens:
            self.white_screens -= 1
            return np.full((SCREEN[1], SCREEN[0], 3), 255, np.uint8)
        image = np.full((SCREEN[1], SCREEN[0], 3), 40, np.uint8)
        left, top, right, bottom = BUTTON
        image[top:bottom, left:right] = (0, 200, 0) if self.pressed else (200, 0, 0)
        return image

    def tap(self, x: int, y: int) -> None:
        self._act("tap", x, y)
        self.pressed |= x < BUTTON[2] and y < BUTTON[3]
        self.focused = FIELD[1] <= y < FIELD[3]

    def swipe(self, x0: int, y0: int, x1: int, y1: int, duration_ms: int = 300) -> None:
        self._act("swipe", x0, y0, x1, y1)

    def type_text(self, text: str) -> None:
        self._act("type", text)
        self.typed += text if self.focused else ""

    def keyevent(self, key: Key) -> None:
        self._act("key", key)

    def ui_tree(self) -> UiNode:
        button = UiNode("android.widget.Button", BUTTON, clickable=True, checked=self.pressed,
                        children=(UiNode("android.widget.TextView", BUTTON, text="Go"),))
        label = UiNode("android.widget.TextView", (0, 57, 108, 114), text="Press the button")
        field = UiNode("android.widget.EditText", FIELD, text=self.typed, clickable=True, focused=self.focused)
        below = UiNode("android.widget.Button", (0, 400, 50, 450), text="under the fold", clickable=True)
        return UiNode("android.widget.FrameLayout", (0, 0, *SCREEN), children=(label, button, field, below))

    def current_activity(self) -> str:
        return "test.button/.Main"

    def shell(self, command: str) -> str:
        return self.run_shell(command)[0]

    def run_shell(self, command: str) -> tuple[str, int]:
        """The little that the clients in the tests ask of a shell."""
        match shlex.split(command):
            case ["echo", *words]:
                return " ".join(words) + "\n", 0
            case ["wm", "size"]:
                return f"Physical size: {SCREEN[0]}x{SCREEN[1]}\n", 0
            case ["input", "tap", x, y]:
                self.tap(int(x), int(y))
            case ["input", "swipe", x0, y0, x1, y1, *_]:
                self.swipe(int(x0), int(y0), int(x1), int(y1))
            case ["input", "text", text]:
                self.type_text(text.replace("%s", " "))
            case ["input", "keyevent", key]:
                self.keyevent(Key(int(key)))
            case ["ls", "/sdcard"]:
                return "notes.txt\nphoto.png\n", 0
            case ["screencap", "-p"]:
                return png(self), 0
            case ["cat", path] if path in self.files:
                return self.files[path], 0
            case ["ls" | "cat", path]:
                return f"{path}: No such file or directory\n", 1
            case ["dumpsys", "window"]:
                return "  mCurrentFocus=Window{1a2b u0 test.button/test.button.Main}\n", 0
            case ["pm", "list", "packages", "-3"]:
                return "package:test.button\n", 0
            case ["am", "force-stop", package]:
                self.log.append(("stop", package))
            case [name, *_]:
                return f"/system/bin/sh: {name}: inaccessible or not found\n", 127
        return "", 0

    def task_success(self, task: TaskSpec) -> bool:
        return self.pressed

    def snapshot(self) -> Any:
        return self.pressed, self.typed, self.focused

    def restore(self, snapshot: Any) -> None:
        self.pressed, self.typed, self.focused = snapshot

    def close(self) -> None:
        self.log.append(("close",))
