"""SimPhone: a phone in pure Python. No Android, no adb, thousands of steps a second without pictures."""

import warnings
from random import Random

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.envs.android import tasks
from agentlab_runner.envs.android.device import Key, TaskSpec, UiNode
from agentlab_runner.envs.android.sim import screen, shell, world
from agentlab_runner.envs.android.sim.overlay import erase
from agentlab_runner.envs.android.sim.paint import render
from agentlab_runner.envs.android.sim.state import PhoneState, back, home, type_text
from agentlab_runner.envs.android.sim.widgets import HEIGHT, WIDTH, Widget

SWIPE_SLOP = 40
"""A finger that moves less than this many pixels taps."""


class SimPhone:
    """A deterministic simulated phone, 1080 x 2280, that implements `envs.android.device.PhoneDevice`.

    Args:
        scale: of screenshots; 0.25 gives 270 x 570.
        popup_rate: chance in [0, 1] that a page which opens has a pop-up over it.
        slow_rate: chance in [0, 1] that a page which opens is white until the next touch or the next screenshot.

    Raises:
        ValueError: for a scale outside (0, 1] or a rate outside [0, 1].
    """

    def __init__(self, scale: float = 0.25, popup_rate: float = 0.05, slow_rate: float = 0.02) -> None:
        if not 0 < scale <= 1:
            raise ValueError(
                f"scale is {scale}, expected a number above 0 and at most 1 (0.25 gives 270 x 570 screenshots)"
            )
        for name, rate in (("popup_rate", popup_rate), ("slow_rate", slow_rate)):
            if not 0 <= rate <= 1:
                raise ValueError(f"{name} is {rate}, expected a probability between 0 and 1")
        self.scale, self.popup_rate, self.slow_rate = scale, popup_rate, slow_rate
        self.state = PhoneState()
        self.files: dict[str, str] = {}
        """What the shell wrote, by path; a memory card, which a reset does not touch."""
        self.reset(None, 0)

    @property
    def screen(self) -> tuple[int, int]:
        return WIDTH, HEIGHT

    def reset(self, task: TaskSpec | None, seed: int) -> None:
        """A fresh phone whose contents depend on the seed, set up so that the task can be, and is not yet, done."""
        self.state = world.fresh(seed)
        if task is not None:
            tasks.setup(task, self.state, Random(f"setup {seed}"))
        self.state.popup_rate, self.state.slow_rate = self.popup_rate, self.slow_rate

    def widgets(self) -> list[Widget]:
        """What is on the screen now; empty while a page loads."""
        return screen.widgets(self.state)

    def screenshot(self) -> NDArray[np.uint8]:
        """uint8 [round(2280 scale), round(1080 scale), 3]; looking at a white page gives it time to load."""
        pixels = render(screen.painted(self.widgets()), self.scale).copy()
        self.state.loading = max(0, self.state.loading - 1)
        return pixels

    def tap(self, x: int, y: int) -> None:
        x, y = self._clip(x, y)
        if self._busy():
            return
        widget = screen.hit(self.widgets(), x, y)
        self.state.toast = ""
        if widget is not None and widget.on_tap is not None:
            widget.on_tap(self.state)

    def swipe(self, x0: int, y0: int, x1: int, y1: int, duration_ms: int = 300) -> None:
        """Move the list under the finger by whole rows; a very short swipe is a tap."""
        x0, y0 = self._clip(x0, y0)
        x1, y1 = self._clip(x1, y1)
        if abs(x1 - x0) < SWIPE_SLOP and abs(y1 - y0) < SWIPE_SLOP:
            return self.tap(x0, y0)
        if self._busy():
            return None
        self.state.toast = ""
        area = screen.scroller(self.widgets(), x0, y0)
        if area is not None:
            rows = round((y0 - y1) / area.row_height)
            self.state.page.scroll = min(max(0, self.state.page.scroll + rows), area.scroll_max)
        return None

    def type_text(self, text: str) -> None:
        if not self._busy() and not self.state.popup:
            self.state.toast = ""
            type_text(self.state, text)

    def keyevent(self, key: Key) -> None:
        self.state.toast = ""
        match key:
            case Key.HOME:
                home(self.state)
            case Key.BACK:
                back(self.state)
            case Key.ENTER if self.state.focus and not self._busy() and not self.state.popup:
                screen.app_of(self.state).submit(self.state)
            case Key.DEL if not self._busy():
                erase(self.state)

    def ui_tree(self) -> UiNode:
        return screen.tree(self.state, self.widgets())

    def current_activity(self) -> str:
        return f"{screen.app_of(self.state).package}/.{self.state.page.name.capitalize()}Activity"

    def run_shell(self, command: str) -> tuple[str, int]:
        """Output and exit code of a shell command; see `envs.android.sim.shell` for what is known."""
        return shell.run(self, command)

    def shell(self, command: str) -> str:
        return self.run_shell(command)[0]

    def task_success(self, task: TaskSpec) -> bool:
        return tasks.success(task, self.state)

    def snapshot(self) -> PhoneState:
        return self.state.copy()

    def restore(self, snapshot: PhoneState) -> None:
        self.state = snapshot.copy()

    def close(self) -> None:
        """Nothing to let go of."""

    def _busy(self) -> bool:
        """Whether the page was still loading; a touch on it is lost, and meanwhile it loads."""
        busy, self.state.loading = self.state.loading > 0, 0
        return busy

    def _clip(self, x: int, y: int) -> tuple[int, int]:
        inside = min(max(0, x), WIDTH - 1), min(max(0, y), HEIGHT - 1)
        if inside != (x, y):
            warnings.warn(
                f"touch at ({x}, {y}) is outside the {WIDTH} x {HEIGHT} screen and was moved to {inside}", stacklevel=3
            )
        return inside
