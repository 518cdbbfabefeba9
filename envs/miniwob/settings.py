"""What `conf/env/miniwob.yaml` may hold, checked before a browser is started."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from agentlab_runner.envs.browser.settings import BrowserSettings
from agentlab_runner.envs.miniwob import catalog
from agentlab_runner.envs.settings import Settings


class PageParserSettings(Settings):
    """How the agent's text becomes primitives (agentlab_runner.envs.miniwob.parser.PageParser)."""

    target: str = Field(alias="_target_")
    form: Literal["utterance", "block"]


class MiniwobSettings(Settings):
    """The keys of the web tasks."""

    num_envs: int = Field(ge=1)
    tasks: list[str] = Field(min_length=1)
    split: Literal["demonstrations", "train", "test"]
    action: Literal["program", "phrases", "utterances"]
    parser: PageParserSettings
    browser: BrowserSettings
    variant: Literal["stock", "synapse_compat"]
    page_seed: Literal["own", "browsergym"]
    image: bool
    reward: Literal["strict", "raw"]
    horizon: PositiveInt | Literal["synapse"]
    max_episode_seconds: PositiveFloat | None

    @field_validator("tasks")
    @classmethod
    def _are_tasks(cls, tasks: list[str]) -> list[str]:
        catalog.chosen(tasks)
        return tasks

    @model_validator(mode="after")
    def _reaches_its_pages(self) -> Self:
        if self.browser.kind == "endpoint" and any(task in catalog.FLIGHT for task in catalog.chosen(self.tasks)):
            raise ValueError(
                "flight tasks come from a server that only a browser of this run may reach; choose env/browser=chromium"
            )
        return self

    @model_validator(mode="after")
    def _speaks_one_language(self) -> Self:
        if (self.parser.form == "block") != (self.action == "program"):
            raise ValueError(
                f"action={self.action} does not go with parser.form={self.parser.form}; a program is a block, and "
                "nothing else is: set parser.form=block with action=program, parser.form=utterance with the others"
            )
        return self
