"""What an app is: a name, an icon and one function a page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agentlab_runner.envs.android.sim.state import Page, PhoneState
from agentlab_runner.envs.android.sim.widgets import Widget

View = Callable[[PhoneState, Page], list[Widget]]


def _nothing(state: PhoneState) -> None:
    """ENTER in an app without a use for it."""


@dataclass(frozen=True, slots=True)
class App:
    name: str
    label: str
    icon: str
    fill: str
    pages: Mapping[str, View]
    """Page name -> its widgets; the page `root` is what the launcher opens."""
    submit: Callable[[PhoneState], None] = _nothing
    """What ENTER does while a field of the app has focus."""

    @property
    def package(self) -> str:
        return f"org.agentlab.{self.name}"
