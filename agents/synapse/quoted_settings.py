"""What the `agent` config node of quoted actions may say."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from agentlab_runner.agents.llm.settings import ImitationSettings
from agentlab_runner.agents.memory.settings import MemorySettings
from agentlab_runner.runners.config.settings import Settings


class QuotedSettings(Settings):
    """Trajectories of solved tasks as exemplars, a quoted action an answer (agentlab_runner.agents.synapse.quoted)."""

    style: Literal["trajectory", "plain"] = "trajectory"
    """`trajectory`: whole ones, page after page; `plain`: the present page, and earlier actions in words."""
    exemplars: Literal["memory", "random", "none"] = "memory"
    """The `memory.k` solved tasks that are most like the present one, as many by chance (the same for all), or none."""
    memory: MemorySettings
    previous_actions: NonNegativeInt = 5
    """Told in the plain style."""
    max_prompt_tokens: PositiveInt | None = None
    """Exemplars are added while the prompt stays within it; where the task alone does not, nothing is asked."""
    max_tokens: PositiveInt = 100
    """Of one answer."""
    choose: bool = False
    """The model chooses among the actions that the parser finds on the page and in the words of the task, instead of
    writing one."""
    seed: int = Field(default=0, ge=0)
    """Of `exemplars: random`."""
    imitation: ImitationSettings = Field(default_factory=ImitationSettings)
