"""What `conf/curriculum/*.yaml` may say of a teacher; light, so a wrong value is refused before anything heavy."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from agentlab_runner.runners.config.settings import CheckpointSettings, RunSettings, Seed, Settings

Share = Annotated[float, Field(ge=0, le=1)]
Alpha = Annotated[float, Field(gt=0, le=1)]
Bound = Annotated[float, Field(ge=-1e9, le=1e9)]
Name = Annotated[str, Field(min_length=1)]


class TeacherSettings(Settings):
    """What every teacher takes."""

    score: Name = "success"
    """What of an episode is scored: `success`, `return`, or the name of one of its measures."""
    min_score: Bound | None = None
    max_score: Bound | None = None
    """Scores are scaled from between these to [0, 1] and clipped; None: 0 and 1, for success alone."""
    every: PositiveInt = 1
    """Iterations that a choice stands."""
    draw: Literal["iteration", "episode"] = "iteration"
    """Whether all episodes of an iteration are of one task, or each draws its own."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        known = self.min_score is not None and self.max_score is not None
        if self.score != "success" and not known:
            raise ValueError(f"score={self.score} has no range of its own; give min_score=LOW and max_score=HIGH")
        if self.low >= self.high:
            raise ValueError(f"min_score {self.low:g} is not below max_score {self.high:g}; give min_score < max_score")
        return self

    @property
    def low(self) -> float:
        return 0.0 if self.min_score is None else self.min_score

    @property
    def high(self) -> float:
        return 1.0 if self.max_score is None else self.max_score


class UniformSettings(TeacherSettings):
    """conf/curriculum/uniform.yaml."""

    draw: Literal["iteration", "episode"] = "episode"


class StageSettings(Settings):
    """A part of a schedule."""

    until: Alpha
    """Where it ends, as a share of `total`."""
    shares: dict[str, NonNegativeFloat] = Field(min_length=1)
    """How often each task is played, in any unit; a task that is not named is not played."""

    @model_validator(mode="after")
    def _plays(self) -> Self:
        if not any(self.shares.values()):
            raise ValueError("a stage plays nothing; give one task a share above 0")
        return self


class StagedSettings(TeacherSettings):
    """What is planned over a course of known length."""

    total: PositiveInt
    unit: Literal["iterations", "env_steps", "agent_steps"] = "iterations"
    """What `total` counts; after it the last stage stays."""


class ScheduleSettings(StagedSettings):
    """conf/curriculum/schedule.yaml."""

    plan: list[StageSettings] | None = Field(default=None, min_length=1)
    """None: one task after the other, in the order given, in equal parts."""

    @model_validator(mode="after")
    def _forward(self) -> Self:
        ends = [stage.until for stage in self.plan or []]
        if ends != sorted(set(ends)):
            raise ValueError(f"the stages end at {ends}; name them in the order in which they are played")
        return self


class EpcSettings(StagedSettings):
    """conf/curriculum/epc.yaml."""

    by: Name = "n"
    """The number of the tasks that doubles from stage to stage."""


class BanditSettings(TeacherSettings):
    """What is paid for a choice, for all bandits."""

    alpha: Alpha
    """Share of uniform choice."""
    reward: Literal["level", "gain", "td_progress", "own_progress"] = "level"
    eval_mix: Share = 0.8
    """Of `level`: how much of the reward is the score at the target; the rest is that of training."""
    window: PositiveInt = 8
    """Of `gain`: choices before this one with which the score at the target is compared."""
    target_episodes: PositiveInt = 32
    """Of `level` and `gain`: how many of the target are played a choice."""
    draw: Literal["iteration"] = "iteration"


class Exp3Settings(BanditSettings):
    """conf/curriculum/exp3.yaml."""

    alpha: Alpha = 0.3
    update_rule: Literal["exp3", "paper"] = "exp3"
    """Whether the reward is divided by the probability of what was played; the paper's algorithm does not."""
    first_arm: Literal["first", "drawn"] = "first"


class Exp3ContextSettings(Exp3Settings):
    """conf/curriculum/exp3_context.yaml."""

    num_contexts: PositiveInt = 3
    context: Literal["last", "mean", "probe"] = "mean"
    """How the agent sums up its policy."""
    stable_ids: bool = True
    """Whether a cluster keeps its number when the clustering changes."""
    threshold: PositiveFloat = 0.5
    branching_factor: Annotated[int, Field(ge=2)] = 50
    credit_warm_up: bool = True
    """Whether bandits already learn while tasks are still drawn uniformly."""


class Exp3SSettings(Exp3Settings):
    """conf/curriculum/exp3s.yaml."""

    alpha: Alpha = 0.1
    share: Alpha = 0.01
    """Of the weight of all that each task is given a choice, so that none is ever given up."""


class UcbSettings(BanditSettings):
    """conf/curriculum/ucb.yaml."""

    alpha: Alpha = 0.1
    discount: Annotated[float, Field(gt=0, le=1)] = 0.98
    """Of older choices; 1 is UCB1."""
    bonus: NonNegativeFloat = 0.5
    """xi."""


class AlpGmmSettings(TeacherSettings):
    """conf/curriculum/alp_gmm.yaml."""

    alpha: Alpha = 0.2
    window: Annotated[int, Field(ge=2, multiple_of=2)] = 200
    """Scores of a task, whose newer half is compared with the older."""
    bootstrap: PositiveInt = 250
    """Episodes drawn uniformly at first."""
    fit_every: PositiveInt = 250
    """Episodes."""
    mixture: bool = True
    """Whether a Gaussian mixture says what to play; otherwise each task in proportion to its own progress."""
    buffer: Annotated[int, Field(ge=20)] = 200
    """Pairs of task and progress that the mixture is fitted to."""
    max_components: Annotated[int, Field(ge=2, le=100)] = 10


class VaclSettings(TeacherSettings):
    """conf/curriculum/vacl.yaml."""

    alpha: Alpha = 0.01
    draw: Literal["iteration", "episode"] = "episode"
    replay: Share = 0.05
    """How often one is played that is solved already."""
    initial: PositiveInt = 1000
    buffer: PositiveInt = 2000
    solved_above: Share = 0.95
    active_above: Share = 0.5
    reproduction: PositiveInt = 150
    """Tasks made anew whenever some were solved."""
    epsilon: NonNegativeFloat = 0.1
    """Step along the gradient."""
    delta: NonNegativeFloat = 0.1
    """Half the width of the uniform noise."""
    kernel: PositiveFloat = 1.0
    """Width h of the RBF kernel."""
    topk: PositiveInt = 5
    """Neighbours that novelty is measured by."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.active_above >= self.solved_above:
            raise ValueError(f"active_above {self.active_above:g} is not below solved_above {self.solved_above:g}")
        if self.initial > self.buffer:
            raise ValueError(f"{self.initial} initial tasks do not fit into a buffer of {self.buffer}; enlarge buffer")
        return self


class SpmarlSettings(TeacherSettings):
    """conf/curriculum/spmarl.yaml."""

    alpha: Alpha = 0.1
    target: Name | None = None
    """Towards which task it is pulled; None: the last one given."""
    max_kl: PositiveFloat = 0.05
    """Furthest that the distribution moves at once, in nats."""
    pull: NonNegativeFloat = 0.2
    """zeta: weight of the pull relative to the progress that is expected."""
    pull_from: Annotated[int, Field(ge=0)] = 20
    """Choices before that pull begins."""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.7


class MasterySettings(TeacherSettings):
    """conf/curriculum/mastery.yaml."""

    alpha: Alpha = 0.1
    order: Literal["given", "learnt"] = "given"
    test: Literal["relative", "absolute"] = "relative"
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Of `absolute`: a task is mastered while its smoothed score is at least this."""
    keep: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Of `relative`: it is lost when its smoothed score falls below this share of the best that was seen of it."""
    window: Annotated[int, Field(ge=2, multiple_of=2)] = 16
    """Of `relative`: scores of a task, whose newer half less the older is its progress."""
    slowing: Share = 0.5
    """Of `relative`: it is still climbing while its progress is at least this share of its largest."""
    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Of `relative`: what is less than this is no progress."""
    patience: PositiveInt = 48
    """Of `relative`: choices after which a task that never progressed is passed over."""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.7


class StudentSettings(Settings):
    """What is simulated in one column of the table: how fast the chained student learns and forgets."""

    rate: Alpha
    decay: Share
    tasks: Annotated[int, Field(ge=2, le=100)]
    """In the chain; the last is the target."""


class SimulationSettings(Settings):
    """conf/exp/spc_teachers.yaml, node `simulation`."""

    rounds: PositiveInt
    students: PositiveInt
    """Simulated one after the other; what is reported is their mean."""
    noise: NonNegativeFloat
    """Standard deviation of every score that is observed."""
    columns: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], StudentSettings] = Field(min_length=1)


Node = dict[str, Any]


class TeachersSettings(RunSettings):
    """The root of an experiment that simulates: teachers and a student, without agent, environment and model."""

    seed: Seed
    runs_dir: str = Field(min_length=1)
    requires: list[str]
    experiment: Node
    logger: Node | None
    checkpoint: CheckpointSettings
    simulation: SimulationSettings
    teachers: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], Node] = Field(min_length=1)
    agent: None
    env: None
    model: None
    trainer: None
    rollout: None
    curriculum: None
    total_iterations: PositiveInt
    """How long the course of staged teachers is: the rounds of the simulation."""
    total_env_steps: None
    total_agent_steps: None
    rollout_size: None
    group_size: None
    record_successes: None
    eval: None
    init_from: None
    warm_start: None
    offline: None
