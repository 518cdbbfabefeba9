"""What plays a game: the pure-Python twin or the PDDL engine, behind one interface."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agentlab_runner.envs.alfworld.world import State, World

NOTHING = "Nothing happens."
"""What every command that cannot be done is answered with."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a game says."""

    text: str
    commands: tuple[str, ...]
    """Those that can be done now, sorted."""
    won: bool


class Engine(Protocol):
    """Plays one game at a time."""

    world: World

    @property
    def state(self) -> State:
        """What is where; not to be changed."""

    def start(self, world: World) -> Turn:
        """Begin a game; the text describes the room and names the task."""

    def step(self, command: str) -> Turn:
        """Do a command; one that cannot be done changes nothing."""

    def plan(self) -> Sequence[str]:
        """Commands that win from here, by a planner; empty if it finds none."""

    def close(self) -> None:
        """Give up what is held outside Python."""
