"""Processors of families whose own ones also read video, for images alone: without torchvision and the like.

They bear the library's names, so that a folder saved here is an ordinary checkpoint.
"""

from typing import Any

from transformers import AutoProcessor, Idefics3Processor, ProcessorMixin
from transformers.models.qwen2_5_vl import processing_qwen2_5_vl
from transformers.models.qwen2_vl import processing_qwen2_vl


class SmolVLMProcessor(Idefics3Processor):  # type: ignore[misc]
    """What SmolVLM does to an image is what Idefics3 does."""


def _marks(processor: Any, tokenizer: Any) -> None:
    processor.image_token = getattr(tokenizer, "image_token", None) or "<|image_pad|>"
    processor.image_token_id = tokenizer.convert_tokens_to_ids(processor.image_token)


class Qwen2VLProcessor(processing_qwen2_vl.Qwen2VLProcessor):  # type: ignore[misc]
    def __init__(self, image_processor: Any, tokenizer: Any, chat_template: Any = None, **others: Any) -> None:
        _marks(self, tokenizer)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


class Qwen2_5_VLProcessor(processing_qwen2_5_vl.Qwen2_5_VLProcessor):  # type: ignore[misc]
    def __init__(self, image_processor: Any, tokenizer: Any, chat_template: Any = None, **others: Any) -> None:
        _marks(self, tokenizer)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def reader(model_type: str) -> Any:
    """What loads the processor of a vision-language family, by `from_pretrained`."""
    own = {"smolvlm": SmolVLMProcessor, "qwen2_vl": Qwen2VLProcessor, "qwen2_5_vl": Qwen2_5_VLProcessor}
    return own.get(model_type, AutoProcessor)
