"""What `conf/env/android.yaml` may hold, checked before anything heavy is imported."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from agentlab_runner.envs.android.task_source import TaskSource
from agentlab_runner.envs.settings import Settings

Observation = Literal["pixels", "tree", "both"]
Sampling = Literal["random", "uniform", "sequential"]
Split = Literal["train", "test"]


class ParserSettings(Settings):
    """How the agent's text becomes an action (agentlab_runner.envs.android.actions.AitwParser)."""

    target: str = Field(alias="_target_")
    mode: Literal["tolerant", "released", "cogagent", "cogagent_released"] = "tolerant"
    decimals: int = Field(4, ge=1, le=6)


class AndroidSettings(Settings):
    """The keys of the Android environment."""

    num_envs: int = Field(ge=1)
    device: dict[str, Any]
    evaluator: dict[str, Any]
    parser: ParserSettings
    task_set: str = Field(min_length=1)
    split: Split
    sampling: Sampling
    templates: list[str] = Field(default_factory=list)
    horizon: int | None = Field(None, ge=1)
    released_horizon: bool = False
    observation: Observation
    history: int = Field(1, ge=0)
    prompt_end: str = ""
    white_wait: float = Field(0.0, ge=0.0)

    @model_validator(mode="after")
    def _has_tasks(self) -> Self:
        TaskSource(self.task_set, self.split, self.sampling, self.templates)
        return self


class SimSettings(Settings):
    """The simulated phone (agentlab_runner.envs.android.devices.sim.SimPhone)."""

    scale: float = Field(gt=0, le=1)
    popup_rate: float = Field(ge=0, le=1)
    slow_rate: float = Field(ge=0, le=1)


class SimAdbSettings(SimSettings):
    """The simulated phone behind adb (agentlab_runner.envs.android.devices.sim_adb.SimAdbPhone)."""

    retries: int = Field(ge=0)
    retry_wait: float = Field(ge=0)
    timeout: float = Field(gt=0)


class AdbSettings(Settings):
    """A phone through adb (agentlab_runner.envs.android.devices.adb.AdbPhone)."""

    serial: str | list[str] | None
    host: str
    port: int = Field(ge=1, le=65535)
    scale: float = Field(gt=0, le=1)
    retries: int = Field(ge=0)
    retry_wait: float = Field(ge=0)
    settle: float = Field(ge=0)
    timeout: float = Field(gt=0)


class EmulatorSettings(Settings):
    """An emulator under android_env (agentlab_runner.envs.android.devices.android_env.launch)."""

    avd_name: str
    sdk: str
    avd_home: str
    adb_port: int = Field(ge=0, le=65535)
    console_port: int = Field(ge=0, le=65535)
    grpc_port: int = Field(ge=0, le=65535)
    run_headless: bool
    scale: float = Field(gt=0, le=1)
    retries: int = Field(ge=0)
    retry_wait: float = Field(ge=0)
    settle: float = Field(ge=0)


class JudgeSettings(Settings):
    """A model that looks at screenshots (agentlab_runner.envs.android.evaluators.Judge)."""

    model: str = Field(min_length=1)
    base_url: str = Field(pattern="^https?://")
    key_env: str
    timeout: float = Field(gt=0)
    retries: int = Field(ge=0)
    retry_wait: float = Field(ge=0)
    skip_seen: bool


class ServeSettings(Settings):
    """Simulated phones for adb clients (agentlab_runner.envs.android.devices.adb_server.serve)."""

    phones: int = Field(ge=1)
    port: int = Field(ge=0, le=65535)
    phone: dict[str, Any]
