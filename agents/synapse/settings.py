"""What the `agent` config node of Synapse may say."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from agentlab_runner.agents.memory.settings import MemorySettings
from agentlab_runner.runners.config.settings import Settings


class ExemplarSettings(MemorySettings):
    """Where exemplars come from, and what a page is looked up by."""

    k: PositiveInt = 3
    """Specifiers that vote."""
    folder: str | None = None
    """One with `exemplars.json` and `specifiers.json`: the original's, or the `memory` of another run."""
    from_run: str | None = None
    """A run whose recorded successes are played once more and become the exemplars, in place of the demonstrations."""
    per_task: PositiveInt = 10
    """Exemplars made of one task at most; one that was loaded keeps all that it has."""

    joined: bool | None = None
    """What was done a step at a time becomes blocks, which end where a fresh page was needed. None: what another run
    did, but not what a demonstrator does, who writes blocks."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.folder is not None and self.from_run is not None:
            raise ValueError("give either folder, a memory that is there, or from_run, a run to make one from")
        return self


class SynapseSettings(Settings):
    """Trajectory-as-exemplar prompting with a memory (arXiv 2306.07863)."""

    memory: ExemplarSettings
    exemplars: Literal["memory", "task", "random", "none"] = "memory"
    """Whose are shown: of the task that the k nearest specifiers vote for; of the task by its name (the original's
    `no_memory`); of some task, whatever it is; none."""
    shown: PositiveInt | None = None
    """How many of a task's exemplars at most, the first ones; None: all, as the original."""
    trajectories: bool = True
    """Whole trajectories are shown, and that of this episode; false: pairs of observation and action without a past."""
    abstraction: Literal["none", "implicit", "code", "goal"] = "none"
    """What is shown of a page: all of it; what the model, by the exemplars' example, leaves of it; what a program that
    the model writes leaves of it; or nothing, the words of the task alone."""
    decoder: Literal["auto", "model", "held", "analogy", "copy"] = "auto"
    """Who says the action: the model; the model, among programs made of the exemplars' calls and of what the task or
    the page holds; no model: the exemplar whose task is most alike, carried over to this one, or as it is. `auto`: the
    model where there is one, else analogy."""
    max_tokens: PositiveInt = 256
    """Of one answer."""
    max_prompt_tokens: PositiveInt | None = None
    """Above which the model is not asked and the episode ends, as in the original; None: whatever the model reads."""
    export: Literal["original"] | None = None
    """`original`: each episode is also written in the layout of the released results, in the run's `original/`."""
    seed: int = Field(default=0, ge=0)
    """Of `exemplars: random`."""
