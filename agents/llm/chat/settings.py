"""What a `model` node of one that is talked to may say; light, so that a wrong value is refused before a run begins."""

from typing import Any, Literal

from omegaconf import OmegaConf
from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from agentlab_runner.agents.llm.settings import Address, PatientSettings
from agentlab_runner.runners.config.settings import Settings

OURS = frozenset({"model", "messages", "max_tokens", "max_completion_tokens", "stream", "stop", "n"})
"""Keys of a request that are not the user's to set."""


class EndpointSettings(PatientSettings):
    """conf/model/chat.yaml: any server of OpenAI's chat completions, see `agents.llm.chat.endpoint.Endpoint`."""

    name: str = Field(min_length=1)
    """What the server calls the model."""
    base_url: Address = "https://api.openai.com/v1"
    """Up to and including `/v1`."""
    key_env: str = Field(default="OPENAI_API_KEY", min_length=1)
    """Environment variable with the key; a key in a config would be written into the run folder."""
    listed: bool = True
    """Whether the server's list of models is believed; false: it serves more than it lists."""
    temperature: float = Field(default=1.0, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: bool = True
    """Send a seed, of the request and the draw, where the server takes one."""
    json_mode: bool = False
    """Ask for a JSON object (`response_format`), where the server knows how."""
    images: bool = True
    """Send pictures; false: the model is told that there is one."""
    stream: bool = False
    """Take answers piece by piece, for servers behind proxies that cut long silences."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further keys of every request, such as reasoning_effort."""
    context: PositiveInt | None = None
    """Tokens that prompt and answer may have together; None: what the server takes."""
    parallel: PositiveInt = 8
    """Requests under way at once."""
    price_in: float | None = Field(default=None, ge=0)
    """Of a million tokens of prompt, in any currency; without prices, a call costs what the server says of it."""
    price_out: float | None = Field(default=None, ge=0)
    """Of a million tokens of answer; given with the other or not at all."""
    max_cost: PositiveFloat | None = None
    """Of the whole run, in the currency of the prices; checked before each request, at the most that it may cost. What
    neither the config nor the server prices is counted at `budget.DEAR`."""
    max_calls: PositiveInt | None = None
    """Requests of the whole run."""
    max_tokens_per_run: PositiveInt | None = None
    """Tokens of the whole run, prompts and answers."""
    record: str | None = None
    """Folder that keeps what is asked and answered, for model=recorded."""

    @field_validator("extra")
    @classmethod
    def _plain(cls, extra: dict[str, Any]) -> dict[str, Any]:
        """What is in a group or a list of a composed config is made Python's own, which can be sent."""
        return {key: OmegaConf.to_container(one) if OmegaConf.is_config(one) else one for key, one in extra.items()}

    @model_validator(mode="after")
    def _can_be_kept(self) -> "EndpointSettings":
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError("there is one price; give price_in and price_out, of a million tokens each")
        if mine := sorted(OURS & self.extra.keys()):
            raise ValueError(f"extra sets {', '.join(mine)}, which every request has already; leave it out there")
        return self


class LocalSettings(Settings):
    """conf/model/smollm2_chat.yaml: a model of this machine, see `agents.llm.chat.local.LocalChat`."""

    name: str = Field(min_length=1)
    """As for `LanguagePolicy.from_pretrained`."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    temperature: PositiveFloat = 1.0
    context: PositiveInt | None = None
    """Tokens that prompt and answer may have together; None: what the model reads."""
    cache_mb: PositiveInt = 512
    """Bound of the keys and values kept of what was read, in MiB."""
    record: str | None = None


class RecordedSettings(Settings):
    """conf/model/recorded.yaml: what was answered once, see `agents.llm.chat.recorded.Recorded`."""

    folder: str = Field(min_length=1)
    """A run's folder, or one that `model.record` wrote."""
    name: str | None = None
    """Which of several models whose answers are there."""
    record: str | None = None
