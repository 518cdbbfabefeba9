"""What the `agent` config node of this room may say."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from agentlab_runner.runners.config.settings import Settings


class DirectSettings(Settings):
    """A chat model that is shown the state and asked for an action."""

    style: Literal["plain", "react", "reflexion"] = "plain"
    """`plain`: an action; `react`: a thought, then an action (arXiv 2210.03629); `reflexion`: react, and a lesson after
    each failed trial, read in the next (arXiv 2303.11366)."""
    trials: int = Field(default=1, ge=1, le=100)
    """How often a failed task is tried at most; the first trial is what compares with other agents. With reflexion a
    further one begins with the lessons, else it is another sample of the same."""
    history: NonNegativeInt = 4
    """Turns of the episode so far that stand in the prompt, observations included."""
    max_tokens: PositiveInt = 96
    """Of one answer."""
    exemplars: str | None = None
    """Folder of recorded episodes, or a run: its successful episodes stand before the first observation."""
    exemplar_count: PositiveInt = 1
    lesson_tokens: PositiveInt = 128
