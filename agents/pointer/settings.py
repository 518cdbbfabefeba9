"""What `conf/agent/pointer.yaml` may say; light, so a wrong value is refused before torch is imported."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from agentlab_runner.runners.config.settings import Settings


class NetworkSettings(Settings):
    """The shape of the transformer."""

    size: PositiveInt = 64
    """Width of a token."""
    layers: PositiveInt = 3
    heads: PositiveInt = 4

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.size % self.heads:
            raise ValueError(f"size {self.size} is not divisible by heads {self.heads}, which share a token")
        return self


class ReplaySettings(Settings):
    """Learning again from what succeeded (self-imitation, arXiv 1806.05635)."""

    per_task: NonNegativeInt = 64
    """Successful episodes kept of each task, the newest; 0 keeps none."""
    steps: NonNegativeInt = 8
    """Optimiser steps an iteration."""
    batch_size: PositiveInt = 128
    coef: NonNegativeFloat = 1.0
    value_coef: NonNegativeFloat = 0.1


class ImitationSettings(Settings):
    """The warm start on demonstrations, where an experiment has one."""

    steps: PositiveInt = 400
    batch_size: PositiveInt = 128
    lr: PositiveFloat = 1e-3


class PointerSettings(Settings):
    """PPO, or its surrogate on group-relative advantages, and replay of own successes."""

    network: NetworkSettings = Field(default_factory=NetworkSettings)
    advantage: Literal["gae", "grpo", "gigpo"] = "gae"
    gamma: float = Field(default=0.95, ge=0, le=1)
    """A primitive step's discount."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    step_coef: NonNegativeFloat = 1.0
    """omega, of GiGPO's step-level part."""
    divide_by_std: bool = True
    """Group-relative advantages in units of their group's standard deviation."""
    group_size: PositiveInt = 1
    """The run's own `group_size`: episodes that begin in one state."""
    total_decisions: PositiveInt | None = None
    """Over so many the rate falls to a tenth; None keeps it."""
    lr: PositiveFloat = 1e-3
    epochs: PositiveInt = 4
    minibatch_size: PositiveInt = 128
    clip_coef: PositiveFloat = 0.2
    ent_coef: NonNegativeFloat = 0.02
    vf_coef: NonNegativeFloat = 0.5
    max_grad_norm: PositiveFloat = 0.5
    replay: ReplaySettings = Field(default_factory=ReplaySettings)
    imitation: ImitationSettings = Field(default_factory=ImitationSettings)

    @model_validator(mode="after")
    def _compares_within_groups(self) -> Self:
        if self.advantage != "gae" and self.group_size < 2:
            raise ValueError(
                f"advantage={self.advantage} compares episodes of one group; set group_size=N of the run, 2 or more"
            )
        return self
