"""From an observation to what a model eats: prompt ids and, where it sees, prepared pixels, each made once."""

import logging
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from agentlab_runner.agents.llm.halves import readable
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import frame_of, shape_of
from agentlab_runner.runners.types import Observation

log = logging.getLogger(__name__)
PromptFormat = Literal["raw", "chat"]
PROMPTS_KEPT = 50_000


class TensorCache:
    """Tensors by key, bounded by their bytes; the least recently used go first."""

    def __init__(self, megabytes: int) -> None:
        self.limit = megabytes * 2**20
        self.size = 0
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def __getitem__(self, key: Hashable) -> Any:
        self._entries.move_to_end(key)
        return self._entries[key]

    def __setitem__(self, key: Hashable, value: Any) -> None:
        self.size += _bytes(value) - _bytes(self._entries.get(key))
        self._entries[key] = value
        while self.size > self.limit and len(self._entries) > 1:
            self.size -= _bytes(self._entries.popitem(last=False)[1])

    def clear(self) -> None:
        self._entries.clear()
        self.size = 0


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    if isinstance(value, tuple):
        return sum(map(_bytes, value))
    return 0


def check_seen(observation: Observation) -> None:
    """Whether there is something to see.

    Raises:
        UserError: if the observation has no image.
    """
    if "image" not in observation:
        raise UserError(
            "the model has eyes and the observations hold no image; set env.observation=both (overcooked: "
            "env.image=true), or choose a model that reads text alone (model=smollm2)"
        )


class PromptEncoder:
    """Formats prompts and prepares images through a hub processor; a tokenizer stands for a model without eyes.

    The image processor sees each distinct image once. What its placeholder expands to, which depends on the image's
    size alone, is taken from the whole processor, once a size, with a prompt that holds the image alone. A prompt's ids
    are then the tokenizer's on the expanded text, which is what processors do inside. The first prompt also goes
    through the processor whole, and if the two disagree all later do.
    """

    def __init__(self, processor: Any, prompt_format: PromptFormat, cache_mb: int) -> None:
        if prompt_format == "chat" and not getattr(processor, "chat_template", None):
            raise UserError("prompt_format is chat but the model has no chat template; use prompt_format=raw")
        self.processor = processor
        self.sees = not isinstance(processor, PreTrainedTokenizerBase)
        self.tokenizer = processor.tokenizer if self.sees else processor
        self.prompt_format = prompt_format
        self.image_token = _image_token(processor) if self.sees else ""
        self.image_markup = _image_markup(processor, self.image_token) if self.sees else ""
        self._images = TensorCache(cache_mb)
        self._ids: dict[str, tuple[int, ...]] = {}
        self._expansions: dict[tuple[int, ...], str] = {}
        self._expands_alike: bool | None = None
        self._blind = False

    def prompt(self, text: str) -> str:
        """The whole prompt, with one image placeholder in it if the model sees."""
        if self.prompt_format == "raw":
            return self.image_markup + text
        content = [{"type": "image"}, {"type": "text", "text": text}] if self.sees else text
        turn = [{"role": "user", "content": content}]
        return str(self.processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))

    def ids(self, observation: Observation) -> tuple[int, ...]:
        """Ids of the prompt, one image placeholder for each vision token."""
        if not self.sees:
            if "image" in observation and not self._blind:
                self._blind = True
                log.warning(
                    "the model reads text alone and leaves the observations' pictures aside; let env.observation give "
                    "what they show in words, or choose a model with eyes"
                )
            return self.text_ids(self.prompt(observation["text"]))
        check_seen(observation)
        prompt, expansion = self.prompt(observation["text"]), self.expansion(observation)
        if self._expands_alike is None:
            exact = self._by_processor(prompt, observation["image"])
            self._expands_alike = self._by_tokenizer(prompt, expansion) == exact
        if self._expands_alike:
            return self._by_tokenizer(prompt, expansion)
        return self._by_processor(prompt, observation["image"])

    def pixels(self, observation: Observation) -> dict[str, Tensor]:
        """What the processor made of the image, under the model's argument names; the first axis counts images."""
        key = frame_of(observation, "image")
        if key not in self._images:
            batch = self.processor.image_processor([[observation["image"]]], return_tensors="pt")
            self._images[key] = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
        pixels: dict[str, Tensor] = self._images[key]
        return pixels

    def expansion(self, observation: Observation) -> str:
        """What the placeholder of an image of this size becomes."""
        shape = shape_of(observation, "image")
        if shape not in self._expansions:
            batch = self.processor(text=[self.image_token], images=[[observation["image"]]], return_tensors="pt")
            ids = batch["input_ids"][0].tolist()
            ids = ids[_common_start(ids, self.tokenizer("")["input_ids"]) :]
            text = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            self._expansions[shape] = text
        return self._expansions[shape]

    def _by_tokenizer(self, prompt: str, expansion: str) -> tuple[int, ...]:
        return self.text_ids(prompt.replace(self.image_token, expansion))

    def text_ids(self, text: str) -> tuple[int, ...]:
        """Ids of a whole prompt whose images, if any, are expanded; a beginning-of-sequence token stands once."""
        if text not in self._ids:
            if len(self._ids) == PROMPTS_KEPT:
                self._ids.clear()
            self._ids[text] = self.tokens(text)
        return self._ids[text]

    def tokens(self, text: str) -> tuple[int, ...]:
        """As `text_ids`, without keeping them."""
        text = readable(text)
        return tuple(self.tokenizer(text, add_special_tokens=self.needs_specials(text), verbose=False)["input_ids"])

    def _by_processor(self, prompt: str, image: NDArray[np.uint8]) -> tuple[int, ...]:
        specials = {} if self.needs_specials(prompt) else {"add_special_tokens": False}
        batch = self.processor(text=[readable(prompt)], images=[[image]], return_tensors="pt", **specials)
        return tuple(batch["input_ids"][0].tolist())

    def needs_specials(self, prompt: str) -> bool:
        """False if the chat template wrote the beginning-of-sequence token itself."""
        bos = self.tokenizer.bos_token
        return not (bos and prompt.startswith(bos))


def _image_token(processor: Any) -> str:
    token = getattr(processor, "image_token", None)
    if token is None:
        raise UserError(
            f"{type(processor).__name__} names no image placeholder, so the model cannot be shown screens; choose a "
            "vision-language model such as SmolVLM or Qwen2.5-VL"
        )
    return str(getattr(token, "content", token))


def _image_markup(processor: Any, image_token: str) -> str:
    """What the chat template writes for an image: the placeholder, in some families between marks of their own."""
    if not getattr(processor, "chat_template", None):
        return image_token
    text = {"type": "text", "text": "\x00"}

    def render(*content: dict[str, str]) -> str:
        return str(processor.apply_chat_template([{"role": "user", "content": list(content)}]))

    plain, pictured = render(text), render({"type": "image"}, text)
    start = _common_start(plain, pictured)
    end = _common_start(plain[start:][::-1], pictured[start:][::-1])
    markup = pictured[start : len(pictured) - end]
    return markup if markup.count(image_token) == 1 else image_token


def _common_start(a: str | list[int], b: str | list[int]) -> int:
    """How many leading elements agree."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))
