"""What an agent's config may say of its memory; light, so that a wrong value is refused before torch is imported."""

from typing import Any

from pydantic import Field, PositiveInt, field_validator

from agentlab_runner.agents.llm.settings import LONGEST, Address, PatientSettings
from agentlab_runner.runners.config.settings import Settings


class HashedSettings(Settings):
    """Counts of words and their pieces (agentlab_runner.agents.memory.embedders.Hashed)."""

    dim: int = Field(default=512, ge=8, le=65536)


class MiniLMSettings(Settings):
    """A small sentence encoder out of a package (agentlab_runner.agents.memory.embedders.MiniLM)."""

    max_tokens: int = Field(default=256, ge=3, le=512)
    """Of a text; what is beyond is not read. The model learnt with 128, its makers say 256."""


class EndpointSettings(PatientSettings):
    """Any OpenAI-compatible /embeddings (agentlab_runner.agents.memory.endpoint.Endpoint)."""

    name: str = Field(min_length=1)
    """What the server calls the model."""
    base_url: Address
    """Up to and including `/v1`; `_yours_` in a config, as is `key_env`."""
    key_env: str = Field(default="OPENAI_API_KEY", min_length=1)
    """Environment variable with the key; a key in a config would be written into the run folder."""
    dimensions: PositiveInt | None = None
    """To which the server is to shorten its vectors, where it can."""
    batch: PositiveInt = 64
    """Texts in one request."""
    timeout: float = Field(default=60.0, gt=0, le=LONGEST)


class MemorySettings(Settings):
    """A node of an agent's config: what its memory is embedded by, and how much of it is shown.

    `embedder` is a node with a `_target_` (and a `_schema_`, one of the above), and the embedder itself when the agent
    is built.
    """

    embedder: Any
    k: PositiveInt = 5
    """Records a query brings at most."""
    min_similarity: float = Field(default=-1.0, ge=-1.0, le=1.0)
    """Cosine below which a record is not shown: better none than a wrong one. -1: however little alike."""
    folder: str | None = None
    """A memory that was made before, which the run's own begins with; None: it begins empty."""

    @field_validator("embedder")
    @classmethod
    def _embeds(cls, value: Any) -> Any:
        if not (isinstance(value, dict) and "_target_" in value) and not hasattr(value, "embed"):
            raise ValueError(
                "give a node that makes one: {_target_: agentlab_runner.agents.memory.embedders.Hashed} (or MiniLM)"
            )
        return value
