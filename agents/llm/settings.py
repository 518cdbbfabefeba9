"""What a `model` config node may say; light, so that a wrong value is refused before torch is imported."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from agentlab_runner.runners.config.settings import Settings


def _holds_no_key(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("an address stands in the run's folder, so it names neither user, password nor key")
    if not parts.hostname:
        raise ValueError("it names no host; give one as http://HOST:8000/v1")
    return url


Address = Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_holds_no_key)]
"""Of a server."""


LONGEST = 1e6
"""Seconds that anything waits, beyond which clocks overflow."""


class LoraSettings(Settings):
    """Low-rank adapters (arXiv 2106.09685): only these train, the loaded weights stay."""

    r: PositiveInt = 16
    alpha: PositiveFloat = 32.0
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    targets: list[str] | str = "all-linear"
    """Names of the linear layers that get an adapter, or `all-linear`."""
    last_k_layers: PositiveInt | None = None
    """Adapters on the last k layers of the language model alone; None: wherever `targets` match."""
    start: str | None = None
    """Folder of a PEFT checkpoint whose weights the adapters start from."""


class PatientSettings(Settings):
    """How patient one is with a server; see `agents.llm.http.Limits`."""

    timeout: float = Field(default=120.0, gt=0, le=LONGEST)
    """Seconds for an answer."""
    retries: int = Field(default=5, ge=0)
    pause: float = Field(default=1.0, ge=0, le=LONGEST)
    """Seconds before the first retry; doubled for each further one, up to `longest_wait`."""
    longest_wait: float = Field(default=120.0, ge=0, le=LONGEST)
    """Seconds that the server may ask to be left alone."""


class ServerSettings(PatientSettings):
    """A server that generates in the model's place, see `agents.llm.server.RolloutServer`."""

    url: Address
    """Up to and including `/v1`."""
    model: str | None = None
    """What the server calls the base model; None: `model.name`."""
    token_env: str = "OPENAI_API_KEY"
    """Environment variable with the token; a token in a config would be written into the run folder."""
    folder: str | None = None
    """Where adapters are put for the server to fetch; None: a temporary folder, for a server on this machine."""
    retries: int = Field(default=3, ge=0)
    parallel: PositiveInt = 32
    """Requests under way at once."""
    tolerance: PositiveFloat = 0.1
    """Nats by which the server's log-probabilities may differ from the model's own, on an utterance's average."""


class ModelSettings(Settings):
    """The keyword arguments of `LanguagePolicy.from_pretrained`, and how to make the folder it loads."""

    name: str | None = None
    """Hub repository, local folder or GGUF file; only a model that is made (`make`) may leave it out."""
    make: dict[str, Any] | None = None
    lora: LoraSettings | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    quantize: Literal["4bit", "8bit"] | None = None
    """The loaded weights' own width, on a CUDA GPU; the adapters keep `dtype`."""
    prompt_format: Literal["raw", "chat"] = "raw"
    freeze_vision: bool = False
    max_new_tokens: PositiveInt = 96
    temperature: PositiveFloat = 1.0
    image_cache_mb: PositiveInt = 256
    record: str | None = None
    """Folder that keeps what an agent that prompts asks of the model and what it answers; see `agents.llm.chat`."""
    server: ServerSettings | None = None

    @model_validator(mode="after")
    def _has_weights(self) -> "ModelSettings":
        if self.name is None and self.make is None:
            raise ValueError("name is missing: give a hub repository or a local folder")
        if self.quantize is not None and self.lora is None:
            raise ValueError(f"weights of {self.quantize} do not train; give the model adapters by lora")
        if self.server is not None and (self.lora is None or self.prompt_format != "chat"):
            raise ValueError("a server gets adapters and applies the chat template: set lora and prompt_format=chat")
        return self


class AutoUISettings(ModelSettings):
    """The keyword arguments of `agents.llm.autoui.AutoUIPolicy.from_pretrained`."""

    vision: str | None = None
    """Hub repository or folder of the BLIP-2 model whose eyes it was trained with."""


class ImitationSettings(Settings):
    """The keyword arguments of `agents.llm.imitation.fit`."""

    lr: PositiveFloat = 3e-3
    batch_size: PositiveInt = 32
    steps: PositiveInt = 600
    warmup: PositiveInt = 30
    weight_decay: NonNegativeFloat = 0.01
    max_grad_norm: PositiveFloat | None = 1.0
    micro_batch: PositiveInt = 32
    validation_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Of the episodes, held out to measure token accuracy and exact match."""


class TinySettings(Settings):
    """The keyword arguments of `agents.llm.tiny.create` that a config sets."""

    image_size: PositiveInt = 96
    patch_size: PositiveInt = 8
    scale_factor: PositiveInt = 4
    width: PositiveInt = 96
    layers: PositiveInt = 3
    vision_layers: PositiveInt = 1
    heads: PositiveInt = 4
    vocab_size: int = Field(default=1024, ge=300)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _shapes_divide(self) -> "TinySettings":
        if self.image_size % (self.patch_size * self.scale_factor):
            raise ValueError(
                f"image_size {self.image_size} must be a multiple of patch_size x scale_factor = "
                f"{self.patch_size * self.scale_factor}"
            )
        if self.width % (2 * self.heads) or self.width % 4:
            raise ValueError(f"width {self.width} must be a multiple of 4 and of 2 x heads = {2 * self.heads}")
        return self
