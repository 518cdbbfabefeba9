"""What `conf/env/browsergym.yaml` may hold, checked before a process is started."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, StringConstraints, model_validator

from agentlab_runner.envs.browsergym.actions import Subset
from agentlab_runner.envs.settings import Settings

Task = Annotated[str, StringConstraints(pattern=r"^browsergym/[\w.+-]+\*?$", max_length=200)]


class CallParserSettings(Settings):
    """How the agent's text becomes a call (agentlab_runner.envs.browsergym.actions.CallParser)."""

    target: str = Field(alias="_target_")
    subsets: list[Subset] = Field(min_length=1)


class BrowserGymSettings(Settings):
    """The keys of BrowserGym's tasks."""

    num_envs: int = Field(ge=1)
    tasks: list[Task] = Field(min_length=1)
    package: str = Field(pattern=r"^[a-z_][a-z0-9_]{0,50}$")
    task_kwargs: dict[str, Any]
    python: str | None
    executable: str | None
    action: Literal["code", "phrases"]
    parser: CallParserSettings
    html: bool
    image: bool
    reward: Literal["strict", "raw"]
    horizon: int = Field(ge=1)
    patience: PositiveFloat

    @model_validator(mode="after")
    def _offers_what_can_be_done(self) -> Self:
        if self.action == "phrases" and "bid" not in self.parser.subsets:
            raise ValueError("action=phrases offers calls of the subset bid; add bid to parser.subsets")
        return self
