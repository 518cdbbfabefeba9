"""What an `agent` config node of this room may say; light, so a wrong value is refused before torch is imported."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from agentlab_runner.runners.config.settings import Settings


class RandomTeamSettings(Settings):
    """conf/agent/random_team.yaml."""


class LevelSettings(Settings):
    """One policy of a team, and how it learns: PPO (arXiv 1707.06347), every agent by its own advantages."""

    network: Literal["attention", "mlp"] = "attention"
    """attention: a student that works for any number of agents; mlp: each acts on what it sees alone."""
    critic: Literal["own", "central"] = "own"
    """own: on what the policy sees; central: on the environment's whole state."""
    hidden: PositiveInt = 64
    heads: PositiveInt = 4
    """Of attention, as the next."""
    head_dim: PositiveInt = 16
    context_size: NonNegativeInt = 0
    """Numbers of the hidden state of a GRU that imitates the policy, for a teacher; 0: none."""
    imitation_coef: NonNegativeFloat = 0.1
    """Of its loss."""
    probe_episodes: PositiveInt = 16
    """Of the first batch, on which a teacher's `probe` represents the policy ever after."""
    weights: str | None = None
    """A file of weights by name to start from: .safetensors, .npz or .pt, of the released code, say."""
    gamma: float = Field(default=0.97, ge=0, le=1)
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    lr: PositiveFloat = 7e-4
    epochs: PositiveInt = 4
    minibatches: PositiveInt = 4
    """Of an epoch."""
    clip_coef: PositiveFloat = 0.2
    ent_coef: NonNegativeFloat = 0.01
    vf_coef: NonNegativeFloat = 0.5
    vf_clip: PositiveFloat | None = None
    """The largest squared error of the critic that is learnt from, in squared units of the return (RLlib: 10)."""
    kl_coef: NonNegativeFloat = 0.0
    """Where it begins; then it is raised and lowered to hold `kl_target` (RLlib: 0.2)."""
    kl_target: PositiveFloat = 0.01
    max_grad_norm: PositiveFloat = 10.0
    standardise: Literal["batch", "task", "none"] = "batch"
    """Among which decisions advantages are given mean 0 and standard deviation 1."""
    skip_unrewarded: bool = False
    """Learn nothing from a batch (a task, where those are standardised) in which nobody was rewarded."""


class TeamPPOSettings(LevelSettings):
    """conf/agent/team_ppo.yaml, ippo.yaml, mappo.yaml."""


class HighLevelSettings(LevelSettings):
    """Who chooses skills."""

    train_batch_size: PositiveInt = 960
    """Its own steps that are waited for before it learns."""


class LowLevelSettings(LevelSettings):
    """Who acts, told its skill."""


class HierarchySettings(Settings):
    """conf/agent/hierarchy.yaml."""

    skills: int = Field(default=5, ge=2)
    interval: PositiveInt = 10
    """Environment steps that a skill is kept for."""
    high: HighLevelSettings = Field(default_factory=HighLevelSettings)
    low: LowLevelSettings = Field(default_factory=LowLevelSettings)


class QmixSettings(Settings):
    """conf/agent/qmix.yaml; defaults as PyMARL has them, but for a replay of steps, since nothing is recurrent."""

    hidden: PositiveInt = 64
    mixing: PositiveInt = 32
    """Width of the mixer."""
    gamma: float = Field(default=0.99, ge=0, le=1)
    lr: PositiveFloat = 5e-4
    epsilon_start: float = Field(default=1.0, ge=0, le=1)
    epsilon_end: float = Field(default=0.05, ge=0, le=1)
    epsilon_steps: PositiveInt = 50_000
    """Environment steps over which it falls."""
    buffer_steps: PositiveInt = 50_000
    """Environment steps kept, the newest."""
    batch_size: PositiveInt = 800
    """Environment steps of one optimiser step; as many as 32 episodes of 25."""
    steps: PositiveInt = 16
    """Optimiser steps an iteration."""
    target_every: PositiveInt = 200
    """Episodes after which the target network is made equal."""
    max_grad_norm: PositiveFloat = 10.0

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.epsilon_end > self.epsilon_start:
            raise ValueError(f"epsilon_end {self.epsilon_end} is above epsilon_start {self.epsilon_start}; it falls")
        return self
