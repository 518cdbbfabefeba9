"""What `conf/env/mind2web.yaml` may hold, checked before anything heavy is imported."""

from typing import Literal

from pydantic import Field

from agentlab_runner.envs.settings import Settings

Split = Literal["train", "test_task", "test_website", "test_domain"]


class ElementParserSettings(Settings):
    """How the agent's text becomes an action (agentlab_runner.envs.mind2web.parser.ElementParser)."""

    target: str = Field(alias="_target_")


class Mind2WebSettings(Settings):
    """The keys of the recorded web tasks."""

    num_envs: int = Field(ge=1)
    path: str | None
    split: Split
    candidates: int = Field(ge=1)
    history_candidates: int = Field(ge=1)
    history: Literal["truth", "predicted"]
    rank_test: bool
    order: Literal["listed", "drawn"]
    parser: ElementParserSettings
