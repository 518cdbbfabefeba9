"""What `conf/env/alfworld.yaml` may hold, checked before anything heavy is imported."""

from typing import Literal, Self

from pydantic import Field, model_validator

from agentlab_runner.envs.alfworld.scenes import Sampling, Scenes, Split
from agentlab_runner.envs.settings import Settings


class CommandParserSettings(Settings):
    """How the agent's text becomes a command (agentlab_runner.envs.alfworld.commands.CommandParser)."""

    target: str = Field(alias="_target_")
    mode: Literal["tolerant", "released"]
    format: Literal["thoughts", "action_only"]


class AlfworldSettings(Settings):
    """The keys of the household."""

    num_envs: int = Field(ge=1)
    engine: Literal["twin", "pddl"]
    split: Split
    task_types: list[str]
    rooms: list[str]
    things: list[str]
    receptacles: int | None = Field(ge=3)
    objects: int = Field(ge=3)
    sampling: Sampling
    data: str | None
    parser: CommandParserSettings
    observation: Literal["text", "image", "both"]
    prompt: Literal["full", "short"]
    history: int = Field(ge=0)
    commands: Literal["all", "useful", "none", "listed"]
    reward: Literal["released", "scaled"]
    horizon: int = Field(ge=1)
    image_size: int = Field(ge=48, le=1024)

    @model_validator(mode="after")
    def _has_tasks(self) -> Self:
        if self.data is None:
            Scenes(
                self.split, self.task_types, self.rooms, self.things, self.receptacles, self.objects, self.sampling
            )
        return self
