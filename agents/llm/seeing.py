"""What a language model with eyes sees, and the features that critics see through its eyes."""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from agentlab_runner.agents.llm.prompts import PromptEncoder, TensorCache
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import frame_of, shape_of
from agentlab_runner.runners.processes.collective import unsplit
from agentlab_runner.runners.types import Observation


class Seeing(nn.Module):
    """Encodes the images of observations with a model's eyes, each distinct one once where that changes no number.

    Args:
        model: with its adapters, if it has any.
        freeze_vision: its eyes never train.
        image_cache_mb: bound of the encoded images kept, and again of the features.
    """

    def __init__(
        self, model: nn.Module, prompts: PromptEncoder, *, has_adapters: bool, freeze_vision: bool, image_cache_mb: int
    ) -> None:
        super().__init__()
        self.prompts, self.has_adapters, self.freeze_vision = prompts, has_adapters, freeze_vision
        self.model: Any = model
        self.frozen: Any = None
        if freeze_vision:
            for parameter in self._vision_parameters():
                parameter.requires_grad_(False)
        self._seen = TensorCache(image_cache_mb)
        self._seen_version = -1
        self._features = TensorCache(image_cache_mb)

    @abstractmethod
    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text."""

    @property
    def device(self) -> torch.device:
        return torch.device(next(self.model.parameters()).device)

    @property
    def _base(self) -> Any:
        """The model itself, under any adapters."""
        return self.model.get_base_model() if self.has_adapters else self.model

    def _vision_parameters(self) -> Iterator[nn.Parameter]:
        """Whatever is neither the language model nor its head: the vision tower, if any, and its projection."""
        language = {id(parameter) for parameter in self._base.get_decoder().parameters()}
        language |= {id(parameter) for parameter in self._base.get_output_embeddings().parameters()}
        return (parameter for parameter in self._base.parameters() if id(parameter) not in language)

    # -- seeing -------------------------------------------------------------------------------------------------------

    def forget_images(self) -> None:
        """Encode every image anew; see `see`."""
        self._seen.clear()

    def see(self, observations: Sequence[Observation]) -> list[Tensor]:
        """Vision tokens [n, D] of each observation, in the language model's width.

        Equal images are encoded once. Without a gradient to follow they are kept until the vision weights change. The
        last bits of what is kept depend on the batch it was first seen in, so whoever wants a resumed run to give the
        numbers of an unbroken one calls `forget_images` where the two may part; `state_dict` does. Where the vision
        weights never train, images are kept all run long, and are encoded one by one instead.
        """
        keys = [frame_of(o, "image") for o in observations]
        distinct = dict(zip(keys, observations, strict=True))
        if torch.is_grad_enabled() and not self.freeze_vision:
            self._seen.clear()  # the weights are about to change, and those split by FSDP do not tell
            found = dict(zip(distinct, self._encode_images(list(distinct.values())), strict=True))
            return [found[key] for key in keys]
        version = sum(parameter._version for parameter in self._vision_parameters())
        if version != self._seen_version:
            self._seen.clear()
            self._seen_version = version
        new = [key for key in distinct if key not in self._seen]
        found = {key: self._seen[key] for key in distinct if key in self._seen}
        together = 1 if self.freeze_vision else max(1, len(new))
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):  # equal, whoever asks for it first
            for start in range(0, len(new), together):
                part = new[start : start + together]
                found |= zip(part, self._encode_images([distinct[key] for key in part]), strict=True)
        for key in new:
            self._seen[key] = found[key]
        return [found[key] for key in keys]

    def _encode_images(self, observations: Sequence[Observation], model: Any = None) -> list[Tensor]:
        if len({shape_of(o, "image") for o in observations}) > 1:  # screens of several sizes need not be cut alike
            return [features for o in observations for features in self._encode_images([o], model)]
        pixels = [self.prompts.pixels(o) for o in observations]
        batch = {name: torch.cat([one[name] for one in pixels]).to(self.device) for name in pixels[0]}
        output = (model or self._base).get_image_features(**batch, return_dict=True)
        tokens = torch.cat([part.flatten(0, -2) for part in output.pooler_output])
        return list(tokens.chunk(len(observations)))

    # -- features for critics -----------------------------------------------------------------------------------------

    def freeze_features(self) -> None:
        """Let `features` come from the weights as they are now; adapters are left out, so LoRA copies nothing."""
        self._features.clear()
        if not self.has_adapters:
            if hasattr(self, "unshard"):
                raise UserError(
                    "a model split among processes cannot be copied; train adapters (model.lora) or use trainer=ddp"
                )
            self.frozen = copy.deepcopy(self.model).requires_grad_(False).eval()

    @torch.no_grad()
    def features(self, observations: Sequence[Observation]) -> tuple[Tensor, Tensor]:
        """What a critic may see without touching the policy: text [B, Dt] and image [B, Di], float32, each made once.

        Text: mean over the prompt's text of the last hidden states, read without the image. Image: mean of the vision
        tokens in the language model's width; Di is 0 for a model without eyes. A row does not depend on the batch it is
        asked in, to the last bit.

        Raises:
            ValueError: before `freeze_features`.
        """
        if self.frozen is None and not self.has_adapters:
            raise ValueError("features come from frozen weights; call freeze_features() first")
        with unsplit(self), self._frozen_model() as model:
            return (
                torch.stack([self._text_features(model, o) for o in observations]),
                torch.stack([self._image_features(model, o) for o in observations]),
            )

    @contextmanager
    def _frozen_model(self) -> Iterator[Any]:
        if self.frozen is not None:
            yield self.frozen
            return
        with evaluating(self.model), self.model.disable_adapter():
            yield self._base

    def _text_features(self, model: Any, observation: Observation) -> Tensor:
        text = observation["text"]
        if text not in self._features:
            ids = torch.tensor([self.encode(text)], device=self.device)
            hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
            self._features[text] = hidden[0].float().mean(0)
        return torch.as_tensor(self._features[text])

    def _image_features(self, model: Any, observation: Observation) -> Tensor:
        if not self.prompts.sees:
            return torch.zeros(0, device=self.device)
        key = frame_of(observation, "image")
        if key not in self._features:
            (tokens,) = self._encode_images([observation], model)
            self._features[key] = tokens.float().mean(0)
        return torch.as_tensor(self._features[key])

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module`, except that the frozen copy never drops anything out."""
        super().train(mode)
        if self.frozen is not None:
            self.frozen.eval()
        return self


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, nothing is dropped out."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
