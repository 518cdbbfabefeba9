"""What configs of data cleaning experiments may hold; imported before anything heavy."""

from typing import Annotated, Any, Literal

from pydantic import Field

from agentlab_runner.runners.config.settings import CheckpointSettings, RunSettings, Seed, Settings

Share = Annotated[float, Field(ge=0, le=1)]

Node = dict[str, Any]


class CleaningSettings(RunSettings):
    """The root: as for any experiment, without agent, environment, model and trainer."""

    seed: Seed
    runs_dir: str = Field(min_length=1)
    requires: list[str]
    experiment: Node
    logger: Node | None
    checkpoint: CheckpointSettings
    table: Node
    ontology: Node | None
    agent: None
    env: None
    model: None
    trainer: None
    rollout: None
    curriculum: None = None
    total_iterations: None
    total_env_steps: None
    rollout_size: None
    group_size: None
    record_successes: None = None
    total_agent_steps: None = None
    eval: None
    init_from: None = None
    warm_start: None
    offline: None
    clean: Node | None = None
    discover: Node | None = None
    bench: Node | None = None
    cleaners: Node | None = None
    senses: Node | None = None


class CountriesSettings(Settings):
    """agentlab_runner.data_cleaning.experiments.planted.countries."""

    rows: int = Field(ge=1)
    concepts: int = Field(ge=1)
    zipf: float = Field(ge=0)


class DrugsSettings(CountriesSettings):
    """agentlab_runner.data_cleaning.experiments.planted.drugs."""

    senses: int = Field(ge=1)
    synonyms: int = Field(ge=1)
    spread: int = Field(ge=1)
    ambiguity: float = Field(ge=0, le=1)


class GeneratedSettings(DrugsSettings):
    """agentlab_runner.data_cleaning.experiments.planted.ofdgen."""

    columns: int = Field(ge=2)
    ofds: int = Field(ge=1)
    keys: int = Field(ge=1)


class FileSettings(Settings):
    """A table of the user's own, read by agentlab_runner.data_cleaning.command.inputs.gather."""

    path: str = Field(min_length=1)
    ofds: list[str]
    kind: Literal["synonym", "inheritance"]
    theta: int | None = Field(ge=0)
    nulls: Literal["equal", "distinct"]


class OntologySettings(Settings):
    """What the values of a FileSettings table mean."""

    source: str = Field(min_length=1)
    column: str | None
    normalise: str | None


class RepairSettings(Settings):
    """The node `clean`: how the table is damaged and how it is repaired, see `data_cleaning.repairs.repair.repair`."""

    tables: int = Field(ge=1)
    err: float = Field(ge=0, le=1)
    inc: float = Field(ge=0, le=1)
    search: Literal["auto", "exact", "fixed", "beam"]
    choose: Literal["evidence", "knee"] | Annotated[int, Field(ge=0)]
    tau: int | None = Field(ge=0)
    max_additions: int | None = Field(ge=0)
    typo_guard: bool
    adopt_foreign: bool = False
    fill_missing: bool = False
    nulls: Literal["ignore", "equal", "distinct"] = "ignore"
    sense_init: Literal["max_cover", "mad"]
    emd: Literal["normalised", "cumulative"]
    emd_threshold: float = Field(ge=0)


class DiscoverSettings(Settings):
    """The node `discover`, see `data_cleaning.discovery.discover.discover`."""

    kind: Literal["synonym", "inheritance"]
    theta: int = Field(ge=0)
    kappa: float = Field(gt=0, le=1)
    max_lhs: int | None = Field(ge=1)
    allow_empty_lhs: bool
    threads: int | None = Field(ge=1)
    err: float = Field(ge=0, le=1)
    inc: float = Field(ge=0, le=1)


class BenchSettings(Settings):
    """The node `bench`: engines that find the functional dependencies of one table, side by side."""

    engines: list[Literal["fastofd", "fastofd_synonym", "dfd", "pyro", "hyfd", "tane"]] = Field(min_length=1)
    repeats: int = Field(ge=1)


class CleanersSettings(Settings):
    """The node `cleaners`: every method at every rate of errors and of missing labels."""

    err: list[Share] = Field(min_length=1)
    inc: list[Share] = Field(min_length=1)
    match: Literal["synonym", "exact"]
    tuning_seed: Seed
    baran: int = Field(ge=0)


class SensesSettings(Settings):
    """The node `senses`: how many interpretations, and how the table is damaged."""

    counts: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    err: float = Field(ge=0, le=1)
    inc: float = Field(ge=0, le=1)
