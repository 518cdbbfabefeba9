"""What an `agent` config node of this room may say; light, so a wrong value is refused before torch is imported."""

from typing import Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from agentlab_runner.agents.llm.settings import ImitationSettings
from agentlab_runner.runners.config.settings import Settings


class ScmSettings(Settings):
    """The causal weights B and the classifier they are measured with."""

    mode: Literal["released", "paper", "exact", "uniform", "random", "permuted"] = "released"
    """`released`, `paper`: by the classifier; `exact`: by the parser; else controls."""
    reference: Literal["released", "paper", "exact"] = "released"
    """How B is measured for a control (`permuted`, or `random` with the causal mass) that has no measure of its own."""
    window: PositiveInt | None = None
    """Tokens nullified together; null: as the recipe has it (released 4, paper 1)."""
    signed: bool | None = None
    norm: Literal["minmax_sqrt", "none"] | None = None
    zero_punctuation: bool | None = None
    pool: Literal["mean", "released_mean"] = "mean"
    exact: Literal["hard", "soft"] = "hard"
    """`hard` deletes token i; `soft` draws it anew from the policy's `top_k` likeliest."""
    top_k: PositiveInt = 8
    width: PositiveInt = 64
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    dropout: float = Field(default=0.1, ge=0, lt=1)
    lr: PositiveFloat = 1e-3
    max_grad_norm: PositiveFloat = 1.0
    pretrain_rounds: NonNegativeInt = 100
    """Optimiser steps before the first use."""
    rounds: NonNegativeInt = 2
    """Optimiser steps an iteration."""
    draws: PositiveInt = 256
    """Utterances drawn a step, with replacement."""
    batch_size: PositiveInt = 64
    """Distinct utterances in one forward pass of its training."""
    validation_draws: PositiveInt = 128
    chunk_size: PositiveInt = 32
    """Nullified rows in one forward pass; alters nothing."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "ScmSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        return self


class OfflineSettings(Settings):
    """Rounds of the offline phase; a round has as many optimiser steps as an online iteration."""

    instruction_critic_rounds: NonNegativeInt = 20
    critic_rounds: NonNegativeInt = 20
    actor_rounds: NonNegativeInt = 30


class ReleasedEpisodesSettings(Settings):
    """The keyword arguments of `agents.coso.released.load_trajectories`."""

    path: str
    images: str | None = None
    max_side: PositiveInt = 570
    features_only: bool = False
    allow_pickle: bool = False


class EntropySettings(Settings):
    """What every agent with an entropy bonus of choice may be told."""

    entropy: Literal["none", "uniform", "causal"] = "causal"
    alpha: NonNegativeFloat = 1.0
    mass_matched: bool = False
    """A control's weights (uniform, random) get the total mass the causal ones would have had, row by row."""
    heatmap_every: NonNegativeInt = 10
    """Iterations between two token heat maps; 0 draws none."""
    seed: NonNegativeInt = 0
    scm: ScmSettings = Field(default_factory=ScmSettings)
    imitation: ImitationSettings = Field(default_factory=ImitationSettings)

    @model_validator(mode="after")
    def _control_has_a_target(self) -> Self:
        control = self.entropy == "uniform" or (self.entropy == "causal" and self.scm.mode in ("uniform", "random"))
        if self.mass_matched and not control:
            raise ValueError("mass_matched scales a control to the causal mass; use it with entropy=uniform")
        return self


class CosoSettings(EntropySettings):
    """DigiRL or filtered behaviour cloning, with the entropy bonus of choice."""

    algorithm: Literal["digirl", "filtered_bc"] = "digirl"
    entropy_norm: Literal["row", "released_outer", "sum"] = "row"
    gamma: float = Field(default=0.5, ge=0, le=1)
    advantage: Literal["released", "doubly_robust"] = "released"
    advantage_threshold: NonNegativeFloat = 0.05
    advantage_lambda: float = Field(default=0.5, ge=0, le=1)
    """Of the doubly robust form."""
    filter_quantile: float = Field(default=0.5, ge=0, lt=1)
    replay_capacity: PositiveInt = 2000
    """Steps; whole episodes are dropped, the oldest first."""
    validation_fraction: float = Field(default=0.2, ge=0, lt=1)
    warmup_iterations: NonNegativeInt = 0
    """Iterations that only collect."""
    lr: PositiveFloat = 3e-4
    max_grad_norm: PositiveFloat = 1.0
    actor_steps: PositiveInt = 8
    batch_size: PositiveInt = 64
    """Samples of one actor step, drawn with replacement; equal ones are computed once."""
    micro_batch: PositiveInt = 32
    """Distinct samples in one forward pass of the policy."""
    critic_lr: PositiveFloat = 1e-3
    critic_max_grad_norm: PositiveFloat = 1.0
    critic_steps: PositiveInt = 20
    instruction_critic_steps: PositiveInt = 20
    critic_batch_size: PositiveInt = 128
    critic_width: PositiveInt = 128
    offline: OfflineSettings = Field(default_factory=OfflineSettings)


class PpoSettings(EntropySettings):
    """PPO on whole utterances (RL4VLM, arXiv 2405.10292), or its surrogate on group-relative advantages."""

    advantage: Literal["gae", "grpo", "gigpo"] = "gae"
    entropy_norm: Literal["sum", "row"] = "sum"
    alpha: NonNegativeFloat = 0.01
    thought_coef: float = Field(default=0.5, ge=0, le=1)
    """lambda, of the tokens before the action."""
    log_prob: Literal["text", "released"] = "text"
    """How the marker is found and the slices are cut, see `agents.llm.marker.token_weights`."""
    gamma: float = Field(default=0.9, ge=0, le=1)
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    truncation: Literal["terminal", "bootstrap"] = "terminal"
    """Of an episode cut by the step limit: nothing follows, or what the critic expects does."""
    group_size: PositiveInt = 1
    """The run's own `group_size`: episodes that begin in one state."""
    step_coef: NonNegativeFloat = 1.0
    """omega, of GiGPO's step-level part."""
    divide_by_std: bool = True
    """Group-relative advantages in units of their group's standard deviation."""
    clip_coef: PositiveFloat = 0.1
    epochs: PositiveInt = 4
    minibatch_size: PositiveInt = 128
    """Samples of one optimiser step; a rollout is cut into minibatches of nearly equal size."""
    micro_batch: PositiveInt = 64
    """Distinct samples in one forward pass of the policy."""
    lr: PositiveFloat = 3e-4
    lr_end: PositiveFloat | None = None
    """Where a cosine takes the rate in `lr_decay_iterations`; null keeps it constant."""
    lr_decay_iterations: PositiveInt = 25
    adam_eps: PositiveFloat = 1e-7
    max_grad_norm: PositiveFloat | None = 0.5
    value_coef: NonNegativeFloat = 0.5
    value_clip_coef: PositiveFloat | None = None
    """How far V may move in an iteration, in units of the return; null does not clip."""
    value_lr: PositiveFloat | None = None
    """Of the value head; null: `lr`."""
    value_trunk: Literal["shared", "detached"] = "shared"
    """Whether the value loss trains the policy's own layers too."""
    value_widths: list[PositiveInt] = Field(default_factory=lambda: [64])
    """Hidden layers of the value head."""

    @model_validator(mode="after")
    def _groups_have_members(self) -> Self:
        if self.advantage != "gae" and self.group_size < 2:
            raise ValueError(
                f"advantage={self.advantage} compares episodes that begin in one state; set the run's group_size to 2 "
                "or more"
            )
        return self
