"""What may stand in the runner's own config nodes; checked before anything heavy is imported."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Settings(BaseModel):
    """A config node that allows no key but its own."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""What every generator takes; NumPy's takes no more."""

Tag = Annotated[str, Field(min_length=1, max_length=64)]
"""As long as W&B takes one."""


class RunSettings(Settings):
    """What the top level of every config may hold beside its own, whatever the kind of work."""

    tags: list[Tag] = []
    notes: str = ""
    callbacks: list[dict[str, Any]] = []

    @field_validator("callbacks")
    @classmethod
    def _named(cls, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not all(isinstance(node.get("_target_"), str) for node in nodes):
            raise ValueError("each names what makes it: callbacks=[{_target_:mymodule.MyCallback}]")
        return nodes


class TrainerSettings(Settings):
    """conf/trainer/*.yaml, see agentlab_runner.runners.processes.trainer.Trainer."""

    device: Literal["auto", "cpu", "cuda"] = "cpu"
    precision: Literal["auto", "no", "bf16", "fp16"] = "no"
    strategy: Literal["single", "ddp", "fsdp"] = "single"
    processes: int | None = Field(default=None, ge=1)
    threads: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if self.strategy == "single" and (self.processes or 1) > 1:
            raise ValueError(f"strategy single is one process, not {self.processes}; use trainer=ddp or trainer=fsdp")
        return self


class RolloutSettings(Settings):
    """conf/rollout/local.yaml, see agentlab_runner.runners.online.rollout.Rollout."""


class NoCurriculumSettings(Settings):
    """conf/curriculum/none.yaml, see agentlab_runner.runners.online.curriculum.NoCurriculum."""


class RaySettings(Settings):
    """conf/rollout/ray.yaml, see agentlab_runner.runners.online.ray_rollout.RayRollout."""

    workers: int = Field(default=2, ge=1)
    address: str | None = None
    cpus: float = Field(default=0.5, ge=0)


class WandbSettings(Settings):
    """conf/logger/wandb.yaml, see agentlab_runner.runners.run.tracking.WandbTracker."""

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: str = Field(default="agentlab", min_length=1, max_length=128)
    entity: str | None = None
    group: str | None = None
    tags: list[Tag] = []
    clips: int = Field(default=2, ge=0)
    checkpoint: Literal["best", "last", "none"] = "best"

    @field_validator("project")
    @classmethod
    def _takes(cls, project: str) -> str:
        """W&B says so itself, but when the run has begun; and of `wandb sync`, when it has ended."""
        if found := re.search(r"[/\\#?%:]", project):
            raise ValueError(f"W&B takes no {found[0]!r} in the name of a project; leave it out of {project!r}")
        return project


class NullSettings(Settings):
    """conf/logger/none.yaml, see agentlab_runner.runners.run.tracking.NullTracker."""


class CheckpointSettings(Settings):
    """The node `checkpoint`."""

    every: int = Field(default=5, ge=1)
    """Iterations."""
    keep: int = Field(default=2, ge=1)
    """How many of the newest to keep beside the best."""
