"""What `conf/env/spread.yaml`, `push_ball.yaml` and `tag.yaml` may say, checked before torch is imported."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from agentlab_runner.envs.settings import Settings

TeamSize = Annotated[int, Field(ge=1, le=16)]
Radius = Annotated[float, Field(gt=0)]
PreySpeed = Annotated[float, Field(gt=0, le=1)]


class CoverTask(Settings):
    """A task of Spread or Push-Ball that a curriculum may choose."""

    n: TeamSize
    radius: Radius


class TagTask(Settings):
    """A task of Tag that a curriculum may choose."""

    n: TeamSize
    prey_speed: PreySpeed = 1.0


class ParticleSettings(Settings):
    """What all have in common."""

    LEVEL: ClassVar[tuple[str, str]]
    """The number that makes a task, beside n: its key, and its letter in names."""

    num_envs: int = Field(default=1, ge=1)
    n: TeamSize = 3
    """Agents of the environment's own task, which is played where no curriculum chooses."""
    horizon: int = Field(default=25, ge=1)
    """Steps after which an episode is cut short."""
    tasks: list[Any] = Field(default=[])
    """What a curriculum may choose from."""
    neighbors: int | None = Field(default=None, ge=1, le=16)
    """How many of each kind an agent sees, the nearest; None: all, in the order of mpe2."""
    actions: Literal["discrete", "continuous"] = "discrete"
    """One of 5 (nothing, left, right, down, up), or 5 numbers from 0 to 1 of which 0 means nothing."""
    terminate_on_success: bool = False
    dtype: Literal["float64", "float32"] = "float64"
    """Of positions and velocities. Contacts are stiff: float32 drifts from float64 in crowds, by 1e-3 at N = 8."""

    @property
    def own(self) -> Mapping[str, float]:
        """The numbers of the environment's own task."""
        key, _ = self.LEVEL
        return {"n": self.n, key: getattr(self, key)}

    @property
    def choices(self) -> Mapping[str, Mapping[str, float]]:
        """The tasks that a curriculum may choose, by name."""
        return {self.name(task.model_dump()): task.model_dump() for task in self.tasks}

    @property
    def sizes(self) -> frozenset[int]:
        """Every n that may be played."""
        return frozenset(int(task["n"]) for task in (self.own, *self.choices.values()))

    def name(self, task: Mapping[str, float]) -> str:
        """As in `n2_r0.4`."""
        key, letter = self.LEVEL
        return f"n{task['n']}_{letter}{task[key]:g}"

    @model_validator(mode="after")
    def _tasks_go_together(self) -> Self:
        names = [self.name(task.model_dump()) for task in self.tasks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"tasks has {twice[0]} twice; leave one out")
        if self.neighbors is None and len(self.sizes) > 1:
            raise ValueError(
                "with neighbors=null the size of an observation depends on n, so all tasks must have one n; "
                "set neighbors=3, say, to mix sizes"
            )
        return self


class CoverSettings(ParticleSettings):
    """Spread and Push-Ball: landmarks that are to be covered."""

    LEVEL = ("radius", "r")

    radius: Radius = 0.1
    """A landmark is covered by what is nearer than that."""
    tasks: list[CoverTask] = Field(default=[])
    reward: Literal["dense", "sparse"] = "dense"
    """dense: minus the distance of every landmark to what is nearest; sparse: only where all landmarks are covered."""
    local_ratio: float = Field(default=0.5, ge=0, le=1)
    """dense: weight of an agent's own collisions; the rest is that of the distances."""
    collision_penalty: float = Field(default=0.0, ge=0)
    """sparse: what an agent loses a step for each other that it touches."""


class SpreadSettings(CoverSettings):
    """The keys of Spread."""


class PushBallSettings(CoverSettings):
    """The keys of Push-Ball."""

    radius: Radius = 0.3
    horizon: int = Field(default=60, ge=1)
    success_reward: float = Field(default=4.0, gt=0)
    """sparse: for all, each step on which all landmarks are covered."""


class TagSettings(ParticleSettings):
    """The keys of Tag."""

    LEVEL = ("prey_speed", "v")

    prey_speed: PreySpeed = 1.0
    """Of mpe2's: a factor of the prey's greatest speed and acceleration."""
    tasks: list[TagTask] = Field(default=[])
    shaped: bool = False
    """Minus a tenth of all predators' distances to the prey, which mpe2 holds ready and does not use."""
