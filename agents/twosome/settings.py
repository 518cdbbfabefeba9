"""What the `agent` config nodes of this room may say; light, so a wrong value is refused before torch is imported."""

from typing import Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from agentlab_runner.runners.config.settings import Settings

Normalisation = Literal["sum", "token", "word"]


class TaskSettings(Settings):
    """What an experiment says of its task whichever agent plays it; one that learns nothing has no use for it."""

    gamma: float = Field(default=0.99, ge=0, le=1)
    """A primitive step's discount."""
    num_actions: PositiveInt | None = None
    """How many actions the environment has in all, ids being below it; needed by learners on numbers."""


class RandomSettings(TaskSettings):
    """Uniform over the admissible actions."""


class ZeroShotSettings(TaskSettings):
    """The language model as it is."""

    normalisation: Normalisation = "word"
    """Of an action's joint log-probability: by nothing, its tokens or its words."""
    cache_mb: PositiveInt = 512
    """Bound of the hidden states kept of frozen layers, MiB."""


class TwosomeSettings(ZeroShotSettings):
    """PPO on adapters of the language model, the critic on its frozen features."""

    algo: Literal["twosome", "poad", "ntpo"] = "twosome"
    """Who is credited: the whole action; its tokens, undiscounted among themselves (POAD); or discounted (NTPO)."""
    adapter: str | None = None
    """Folder of a PEFT checkpoint (and critic.safetensors) to start from."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    batch_size: PositiveInt = 128
    """Decisions an update waits for."""
    total_decisions: PositiveInt | None = None
    """Over so many both learning rates fall to 0; None keeps them."""
    critic_warmup: NonNegativeInt = 0
    """Decisions at the beginning from which only the critic learns; annealing begins after them."""
    policy_lr: PositiveFloat = 1e-3
    policy_epochs: PositiveInt = 1
    policy_minibatch: PositiveInt = 4
    accumulation: PositiveInt = 8
    """Minibatches of one optimiser step."""
    micro_batch: PositiveInt = 4
    """Distinct states in one forward and backward pass."""
    adv_norm: Literal["group", "minibatch", "batch"] = "group"
    """Advantages are normalised over the samples of one optimiser step, of a minibatch (released) or of the batch."""
    clip_coef: PositiveFloat = 0.2
    ent_coef: NonNegativeFloat = 0.01
    target_kl: PositiveFloat | None = 0.02
    """Beyond it a step's gradients are dropped and the policy waits for the next batch."""
    backtrack: bool = True
    """The step that led beyond `target_kl` is taken back, and the rate halved where it was the first of its batch."""
    value_lr: PositiveFloat = 1e-4
    value_epochs: PositiveInt = 1
    value_minibatch: PositiveInt = 32
    value_clip: PositiveFloat | None = 0.2
    vf_coef: PositiveFloat = 0.5
    max_grad_norm: PositiveFloat = 0.5
    critic_widths: tuple[PositiveInt, PositiveInt] = (1024, 512)

    @model_validator(mode="after")
    def _anneals_after_the_warmup(self) -> Self:
        if self.total_decisions is not None and self.total_decisions <= self.critic_warmup:
            raise ValueError(
                f"total_decisions {self.total_decisions} leaves nothing after a critic_warmup of {self.critic_warmup}"
            )
        return self


class VectorPpoSettings(TaskSettings):
    """Plain PPO on numeric observations (CleanRL's network and batch)."""

    num_actions: PositiveInt
    admissible_only: bool = False
    """False: any action of the full list may be picked, as in the published comparison."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    batch_size: PositiveInt = 512
    total_decisions: PositiveInt | None = None
    lr: PositiveFloat = 1e-3
    epochs: PositiveInt = 4
    minibatches: PositiveInt = 4
    clip_coef: PositiveFloat = 0.2
    ent_coef: NonNegativeFloat = 0.01
    vf_coef: PositiveFloat = 0.5
    max_grad_norm: PositiveFloat = 0.5


class SaycanSettings(ZeroShotSettings):
    """The frozen language model times what has been learnt of the actions' worth."""

    num_actions: PositiveInt
    affordance: Literal["value", "effect"] = "value"
    """`value`: softmax of a Q-function; `effect`: chance that the action changes what is observed."""
    temperature: PositiveFloat = 0.1
    """Divides Q in the softmax."""
    lr: PositiveFloat = 1e-3
    rounds: NonNegativeInt = 100
    """Optimiser steps an iteration."""
    batch_size: PositiveInt = 128
    capacity: PositiveInt = 20_000
    """Transitions kept."""
    target_every: PositiveInt = 100
    """Optimiser steps between two copies of Q to its target."""
