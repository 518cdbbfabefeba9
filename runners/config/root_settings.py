"""What the top level of a config may hold; an experiment of another kind names a model of its own in `_schema_`."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from agentlab_runner.runners.config.settings import CheckpointSettings, RunSettings, Seed, Settings

Node = dict[str, Any]
"""A part that is built from its `_target_` and checked against its own `_schema_`."""


class EvalSettings(Settings):
    """Held-out evaluation."""

    every: int = Field(ge=1)
    episodes: int = Field(ge=1)
    seed: Seed
    deterministic: bool
    record: int = Field(ge=0)
    env: Node
    also: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], Node] | None = None
    """Further sets of episodes, by name: what their environments have otherwise than those of `env`."""
    tasks: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    """Names that the environment knows; none: what it plays of itself. This and the next two are of experiments that
    evaluate alone (runners/evaluation)."""
    seeds: Annotated[int, Field(ge=1)] | Annotated[list[Seed], Field(min_length=1)] | None = None
    """How many, or which, each task is played from; None: `episodes` of them."""
    repeats: int = Field(default=1, ge=1)
    """How often each is played again from the same start."""

    @field_validator("also")
    @classmethod
    def _not_task(cls, sets: dict[str, Node] | None) -> dict[str, Node] | None:
        for name in sorted({"task", "measures", "macro", "micro"} & (sets or {}).keys()):
            raise ValueError(f"eval/{name}/... is what evaluations report themselves; call the set otherwise")
        return sets

    @field_validator("tasks", "seeds")
    @classmethod
    def _each_once(cls, named: Any) -> Any:
        if isinstance(named, list) and len({*named}) < len(named):
            raise ValueError(f"{named} name one twice; each is played once, and `repeats` plays it again")
        return named


class WarmStartSettings(Settings):
    """Imitation of scripted demonstrations before anything else."""

    episodes: int = Field(ge=1)
    demonstrator: Node
    env: Node = Field(default_factory=dict)
    """What its environment has otherwise than the training ones."""


class OfflineSettings(Settings):
    """A phase of learning from a fixed set of episodes, before the online one."""

    episodes: int | None = Field(default=None, ge=1)
    """How many the policy plays for it, as it stands after the warm start."""
    source: Node | None = None
    """What loads the episodes instead."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.episodes is None) == (self.source is None):
            raise ValueError("give either episodes, how many to play, or source, what loads them")
        return self


class RootSettings(RunSettings):
    """The config of an online experiment."""

    seed: Seed
    runs_dir: str = Field(min_length=1)
    requires: list[str]
    experiment: Node
    agent: Node | None
    env: Node | None
    model: Node | None
    trainer: Node | None
    logger: Node | None
    rollout: Node | None = None
    curriculum: Node | None = None
    total_iterations: int = Field(ge=0)
    total_env_steps: int | None = Field(default=None, ge=1)
    total_agent_steps: int | None = Field(default=None, ge=1)
    rollout_size: int = Field(ge=1)
    group_size: int = Field(default=1, ge=1)
    eval: EvalSettings
    checkpoint: CheckpointSettings
    record_successes: int = Field(default=0, ge=0)
    """Training episodes that succeeded, recorded for each task, at most."""
    init_from: str | None = Field(default=None, min_length=1)
    """The run, or RUN@CHECKPOINT, whose weights it starts from."""
    warm_start: WarmStartSettings | None = None
    offline: OfflineSettings | None = None

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.rollout_size % self.group_size:
            raise ValueError(
                f"rollout_size {self.rollout_size} must be a multiple of group_size {self.group_size}, since every "
                "group is played whole"
            )
        return self
