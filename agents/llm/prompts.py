"""From an observation to what a vision-language model eats: prompt ids and prepared pixels, each made once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from runners.errors import UserError
from runners.types import Observation

PromptFormat = Literal["raw", "chat"]


class TensorCache:
    """Least recently used first out, bounded by the bytes of the tensors kept."""

    def __init__(self, megabytes: int) -> None:
        self.limit = megabytes * 2**20
        self.size = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The entry of `key`, made now if it is not there."""
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key][0]
        value = make()
        self.put(key, value)
        return value

    def put(self, key: Hashable, value: Any) -> None:
        size = _bytes(value)
        self._entries[key] = (value, size)
        self.size += size
        while self.size > self.limit and len(self._entries) > 1:
            self.size -= self._entries.popitem(last=False)[1][1]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def clear(self) -> None:
        self._entries.clear()
        self.size = 0


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    if isinstance(value, tuple | list):
        return sum(map(_bytes, value))
    return 64


def image_key(image: NDArray) -> Hashable:
    """Equal for equal pixels (within one process)."""
    return image.shape, hash(image.tobytes())


class PromptEncoder:
    """Formats prompts and prepares images through a hub processor.

    The processor is asked once per distinct image, with a prompt that holds the image alone: that yields the pixels and
    the text the image placeholder expands to. A prompt's ids are then the tokenizer's on the expanded text, as inside the
    processor. The first prompt is also sent through the processor whole, and if the two disagree every later one is.
    """

    def __init__(self, processor: Any, prompt_format: PromptFormat, cache_mb: int) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.prompt_format = prompt_format
        self.image_token: str = _image_token(processor)
        self._image_markup = _image_markup(processor, self.image_token)
        self._images = TensorCache(cache_mb)
        self._ids: dict[str, tuple[int, ...]] = {}
        self._expands_alike: bool | None = None
        if prompt_format == "chat" and not getattr(processor, "chat_template", None):
            raise UserError("prompt_format is chat but the model's processor has no chat template; use prompt_format=raw")

    def prompt(self, text: str) -> str:
        """The whole prompt, with one image placeholder in it."""
        if self.prompt_format == "raw":
            return self._image_markup + text
        content = [{"type": "image"}, {"type": "text", "text": text}]
        return self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)

    def encode(self, observation: Observation) -> tuple[tuple[int, ...], Hashable]:
        """Prompt ids and the key under which `pixels` holds the image."""
        key = image_key(observation["image"])
        _, expansion = self._prepared(key, observation["image"])
        prompt = self.prompt(observation["text"])
        if self._expands_alike is None:
            self._expands_alike = self._by_tokenizer(prompt, expansion) == self._by_processor(prompt, observation["image"])
        if self._expands_alike:
            return self._by_tokenizer(prompt, expansion), key
        return self._by_processor(prompt, observation["image"]), key

    def pixels(self, observation: Observation) -> dict[str, Tensor]:
        """What the processor made of the image, by the model's argument names."""
        return self._prepared(image_key(observation["image"]), observation["image"])[0]

    def _prepared(self, key: Hashable, image: NDArray) -> tuple[dict[str, Tensor], str]:
        def make() -> tuple[dict[str, Tensor], str]:
            batch = self.processor(text=[self.image_token], images=[[image]], return_tensors="pt")
            ids = batch.pop("input_ids")[0].tolist()
            bare = self.tokenizer("")["input_ids"]
            ids = ids[_common_start(ids, bare) :]
            expansion = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            names = ("attention_mask", "token_type_ids", "mm_token_type_ids")
            return {name: value for name, value in batch.items() if name not in names}, expansion

        return self._images.get(key, make)

    def _by_tokenizer(self, prompt: str, expansion: str) -> tuple[int, ...]:
        text = prompt.replace(self.image_token, expansion)
        if text not in self._ids:
            if len(self._ids) > 50_000:
                self._ids.clear()
            self._ids[text] = tuple(self.tokenizer(text, add_special_tokens=not self._starts_with_bos(text))["input_ids"])
        return self._ids[text]

    def _by_processor(self, prompt: str, image: NDArray) -> tuple[int, ...]:
        special = {"add_special_tokens": False} if self._starts_with_bos(prompt) else {}
        batch = self.processor(text=[prompt], images=[[image]], return_tensors="pt", **special)
        return tuple(batch["input_ids"][0].tolist())

    def _starts_with_bos(self, text: str) -> bool:
        return bool(self.tokenizer.bos_token) and text.startswith(self.tokenizer.bos_token)


def _image_token(processor: Any) -> str:
    token = getattr(processor, "image_token", None)
    if token is None:
        raise UserError(
            f"{type(processor).__name__} names no image placeholder token, so this is not a vision-language model; "
            "choose one that AutoModelForImageTextToText loads"
        )
    return str(getattr(token, "content", token))


def _image_markup(processor: Any, image_token: str) -> str:
    """What the chat template writes for an image: the placeholder, for some families between marks of their own."""
    if not getattr(processor, "chat_template", None):
        return image_token
    text = {"type": "text", "text": "\x00"}

    def render(content: list[dict[str, str]]) -> str:
        return processor.apply_chat_template([{"role": "user", "content": content}])

    plain, pictured = render([text]), render([{"type": "image"}, text])
    start = _common_start(plain, pictured)
    end = _common_start(plain[start:][::-1], pictured[start:][::-1])
    markup = pictured[start : len(pictured) - end]
    return markup if markup.count(image_token) == 1 else image_token


def _common_start(a: Any, b: Any) -> int:
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def stack_images(pixels: list[dict[str, Tensor]]) -> dict[str, Tensor] | None:
    """One batch of several images' inputs along the first axis, or None if their shapes differ."""
    if any(value.shape[1:] != pixels[0][name].shape[1:] for one in pixels for name, value in one.items()):
        return None
    return {name: torch.cat([one[name] for one in pixels]) for name in pixels[0]}
