"""What `conf/env/android.yaml` may hold, checked before anything heavy is imported."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Observation = Literal["pixels", "tree", "both"]
Sampling = Literal["random", "sequential"]
Split = Literal["train", "test"]


class ParserSettings(BaseModel):
    """How the agent's text becomes an action (envs.android.actions.AitwParser)."""

    model_config = ConfigDict(extra="forbid")

    target: str = Field(alias="_target_")
    mode: Literal["tolerant", "released", "cogagent", "cogagent_released"] = "tolerant"
    decimals: int = Field(4, ge=1, le=6)


class AndroidSettings(BaseModel):
    """The keys of the Android environment."""

    model_config = ConfigDict(extra="forbid")

    num_envs: int = Field(ge=1)
    device: dict[str, Any]
    evaluator: dict[str, Any]
    parser: ParserSettings
    task_set: str = Field(min_length=1)
    split: Split
    sampling: Sampling
    horizon: int | None = Field(None, ge=1)
    released_horizon: bool = False
    observation: Observation
    history: int = Field(1, ge=0)
    prompt_end: str = ""
    white_wait: float = Field(0.0, ge=0.0)
