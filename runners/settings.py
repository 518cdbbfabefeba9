"""What may stand in the runner's own config nodes; checked before anything heavy is imported."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A config node that allows no key but its own."""

    model_config = ConfigDict(extra="forbid")


class TrainerSettings(Settings):
    """conf/trainer/*.yaml, see runners.trainer.Trainer."""

    device: Literal["cpu", "cuda"] = "cpu"
    precision: Literal["no", "bf16", "fp16"] = "no"
    strategy: Literal["single", "ddp", "fsdp"] = "single"


class WandbSettings(Settings):
    """conf/logger/wandb.yaml, see runners.tracking.WandbTracker."""

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: str = Field(default="agentlab", min_length=1)
    entity: str | None = None
    group: str | None = None
    tags: list[str] = []
    clips: int = Field(default=2, ge=0)
    checkpoint: Literal["best", "last", "none"] = "best"


class NullSettings(Settings):
    """conf/logger/none.yaml, see runners.tracking.NullTracker."""


class CheckpointSettings(Settings):
    """The node `checkpoint`."""

    every: int = Field(default=5, ge=1)
    """Iterations."""
    keep: int = Field(default=2, ge=1)
    """How many of the newest to keep beside the best."""
