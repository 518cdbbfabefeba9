"""What conf/claim/NAME.yaml may hold: a published statement, the runs that test it, and what they must show."""

from typing import Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from agentlab_runner.runners.config.settings import Settings


class ArmSettings(Settings):
    """One side of the comparison."""

    overrides: list[str] = Field(default_factory=list)
    """What makes its runs differ; arms with the same overrides share their runs and differ in the metric alone."""
    tune: dict[str, list[Any]] = Field(default_factory=dict)
    """Values tried for each key, all combinations, on the tuning seeds; the best one is then run on `seeds`."""


class ExpectSettings(Settings):
    """What is expected of `arm`, seed by seed, in every setting: that it is above another, or equal to something.

    `{arm, above, margin}`: above `above` by more than `margin`. `{arm, equals, within}`: the interval of its metric,
    less the number `equals` or the metric of the arm `equals`, lies between `-within` and `within`.
    """

    arm: str
    above: str | None = None
    margin: float = 0.0
    """A negative one says `not worse by so much`."""
    equals: str | float | None = None
    within: float | None = Field(default=None, gt=0)

    @property
    def others(self) -> list[str]:
        """The arms it is compared with."""
        return [name for name in (self.above, self.equals) if isinstance(name, str)]

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.above is None) == (self.equals is None):
            raise ValueError("expect either {arm, above} or {arm, equals, within}")
        if (self.equals is None) != (self.within is None):
            raise ValueError("equals and within go together: {arm: a, equals: b, within: 0.05}")
        if self.equals is not None and self.margin:
            raise ValueError("margin goes with above; an equivalence has within")
        return self


class AxisSettings(Settings):
    """What curves are drawn over instead of steps, so that learners are compared at equal cost."""

    metric: str
    """A count that the runs log, as `train/env_steps`, 0 at step 0; or `step` itself."""
    every: PositiveInt
    """Curves are read off, between two evaluations on a line, at multiples of it."""


class ClaimSettings(Settings):
    """A claim: sentence, source, arms, seeds, metric and expected direction."""

    says: str = Field(min_length=1)
    """The statement under test, in one sentence."""
    source: str = Field(min_length=1)
    """Where it was published."""
    overrides: list[str] = Field(default_factory=list)
    """Of every run: the experiment, the budget; `{seed}` in an override, here or elsewhere, is the seed of its run."""
    settings: dict[str, list[str]] = Field(default={"all": []}, min_length=1)
    """Tasks in each of which it is tested, by name, with the overrides each one adds."""
    metric: str = "eval/success"
    """What is compared; `{arm}` and `{setting}` in it stand for their names."""
    reduce: Literal["last", "mean"] = "last"
    """Of the metric's course in a run: its last value, or its mean over the evaluations (area under the curve)."""
    over: AxisSettings | None = None
    """None: curves are drawn over steps, one point an evaluation."""
    seeds: list[NonNegativeInt] = Field(min_length=2)
    tuning_seeds: list[NonNegativeInt] = Field(default_factory=list)
    arms: dict[str, ArmSettings] = Field(min_length=1)
    """One alone may be expected to equal a number."""
    expect: list[ExpectSettings] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, seeds in (("seeds", self.seeds), ("tuning_seeds", self.tuning_seeds)):
            if len({*seeds}) < len(seeds):
                raise ValueError(f"{name} {seeds} name a seed twice; each counts once")
        for expected in self.expect:
            for name in (expected.arm, *expected.others):
                if name not in self.arms:
                    raise ValueError(f"expect names the arm {name!r}, but the arms are {', '.join(self.arms)}")
        tuned = [name for name, arm in self.arms.items() if arm.tune]
        if tuned and not self.tuning_seeds:
            raise ValueError(f"{tuned[0]} is tuned; give tuning_seeds, other ones than seeds")
        if shared := sorted({*self.seeds} & {*self.tuning_seeds}):
            raise ValueError(f"seed {shared[0]} is in seeds and tuning_seeds; tune on seeds that do not judge")
        return self
