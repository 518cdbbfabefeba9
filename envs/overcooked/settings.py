"""What `conf/env/overcooked.yaml` may hold, checked before anything heavy is imported."""

from typing import Annotated, Literal

from pydantic import Field

from agentlab_runner.envs.settings import Settings

Order = Literal[
    "",
    "tomato",
    "lettuce",
    "onion",
    "lettuce-tomato",
    "onion-tomato",
    "lettuce-onion",
    "lettuce-onion-tomato",
]
FourNumbers = Annotated[list[float], Field(min_length=4, max_length=4)]


class OvercookedSettings(Settings):
    """The keys of the kitchen."""

    num_envs: int = Field(ge=1)
    task: Literal["tomato_salad", "tomato_lettuce_salad"]
    order: Order = ""
    """What runs from before there was a choice had."""
    room: Literal["A", "B", "C"]
    radius: int = Field(ge=0)
    rewards: Literal["twosome", "macro_overcooked"] | FourNumbers
    horizon: int = Field(ge=1)
    strict_original: bool
    image: bool
