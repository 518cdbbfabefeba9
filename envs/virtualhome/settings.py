"""What `conf/env/virtualhome.yaml` may hold, checked before anything heavy is imported."""

from typing import Annotated, Any, Literal

from pydantic import Field

from agentlab_runner.envs.settings import Settings

Task = Literal[
    "food_preparation", "entertainment", "cheese", "hamburger", "apple_pie", "pizza", "washing_plate", "laundry"
]


class VirtualHomeSettings(Settings):
    """The keys of the environment."""

    num_envs: int = Field(ge=1)
    task: Task | Annotated[list[Task], Field(min_length=1)]
    household: dict[str, Any]
    horizon: int = Field(ge=1)
    strict_original: bool


class GraphSettings(Settings):
    """conf/env/household/graph.yaml."""

    graph: str | None


class UnitySettings(Settings):
    """conf/env/household/unity.yaml."""

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    scene: int | None = Field(ge=0)
    character: str = Field(min_length=1)
    room: Literal["kitchen", "bathroom", "bedroom", "livingroom"]
    timeout: float = Field(gt=0)
