"""Who does what was recorded: for warm starts, and for memories of solved tasks."""

from typing import Any


class Recorded:
    """Satisfies `runners.experiment.Demonstrator`. With `rank_test: false` it solves every task."""

    def begin(self, env: Any, seed: int) -> None:
        """Nothing is drawn."""

    def decide(self, env: Any) -> str:
        """The recorded action."""
        return str(env.unwrapped.truth)
