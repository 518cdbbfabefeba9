"""A vision-language model as a policy: sample utterances for a batch of screens, score them with gradients."""

import copy
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache

from agents.llm.loading import add_lora, load
from agents.llm.prompts import PromptEncoder, PromptFormat, TensorCache, stack_images
from runners.errors import UserError
from runners.types import Observation


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the policy said to one observation."""

    text: str
    """Decoded without special tokens."""
    token_ids: tuple[int, ...]
    """Generated ids, the end token included when it was generated."""
    logprobs: tuple[float, ...]
    """Under the sampling distribution (temperature applied), one a token."""


@dataclass(frozen=True, slots=True)
class TokenScores:
    """What the policy now thinks of utterances, row by row, right-padded."""

    logits: Tensor
    """[B, T, V] float32, next-token logits (temperature applied) at the generated positions."""
    logprobs: Tensor
    """[B, T] float32, of the given tokens; 0 on padding."""
    mask: Tensor
    """[B, T] bool, True on given tokens."""


class LanguagePolicy(nn.Module):
    """Any `AutoModelForImageTextToText` with its processor."""

    def __init__(
        self,
        model: nn.Module,
        processor: Any,
        *,
        lora: Mapping[str, Any] | None = None,
        prompt_format: PromptFormat = "raw",
        freeze_vision: bool = False,
        max_new_tokens: int = 96,
        temperature: float = 1.0,
        image_cache_mb: int = 256,
    ) -> None:
        super().__init__()
        self.prompts = PromptEncoder(processor, prompt_format, image_cache_mb)
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.lora = lora is not None
        self.model: Any = add_lora(model, lora) if lora is not None else model
        self.frozen: Any = None
        self.max_new_tokens = max_new_tokens
        self.temperature = temperature
        self.image_token_id = self.tokenizer.convert_tokens_to_ids(self.prompts.image_token)
        self.eos_ids = _eos_ids(self._base, self.tokenizer)
        self._seen = TensorCache(image_cache_mb)
        self._seen_version = -1
        self._features = TensorCache(64)
        if freeze_vision:
            for parameter in self._vision_parameters():
                parameter.requires_grad_(False)
        self._vision_frozen = freeze_vision

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        lora: Mapping[str, Any] | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        prompt_format: PromptFormat = "raw",
        freeze_vision: bool = False,
        max_new_tokens: int = 96,
        temperature: float = 1.0,
        image_cache_mb: int = 256,
    ) -> "LanguagePolicy":
        """Load a hub repository or a local folder.

        Args:
            name: `owner/model` on the hub, or a folder with a checkpoint in Hugging Face format.
            lora: `{r, alpha, dropout, targets}` to train low-rank adapters alone (arXiv 2106.09685), or None.
            dtype: of the weights; logits and log-probabilities are float32 always.
            prompt_format: `raw` = image, then the text as it is; `chat` = one user turn in the model's chat template.
            freeze_vision: the vision tower and its projection do not train, and each distinct image is encoded once.
            max_new_tokens: where an utterance is cut if no end token came.
            temperature: divides the logits, in sampling and in scoring alike.
            image_cache_mb: bound of the prepared images kept, and again of the encoded ones.

        Raises:
            UserError: if the checkpoint cannot be reached, or is not a vision-language model.
        """
        model, processor = load(str(name), dtype)
        return cls(
            model,
            processor,
            lora=lora,
            prompt_format=prompt_format,
            freeze_vision=freeze_vision,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            image_cache_mb=image_cache_mb,
        )

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def _base(self) -> Any:
        """The model itself, under any adapters."""
        return self.model.get_base_model() if self.lora else self.model

    def trainable_parameters(self) -> list[nn.Parameter]:
        """What an optimiser should get."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    # -- saying -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def generate(self, observations: Sequence[Observation], *, deterministic: bool = False) -> list[Utterance]:
        """One utterance an observation, sampled with torch's global generator, or the greedy one."""
        if not observations:
            return []
        with _evaluating(self.model):
            tokens, logprobs = self._decode(observations, deterministic)
        utterances = []
        for row, row_logprobs in zip(tokens.tolist(), logprobs.tolist(), strict=True):
            length = next((i + 1 for i, token in enumerate(row) if token in self.eos_ids), len(row))
            ids = tuple(row[:length])
            utterances.append(Utterance(self.decode(ids), ids, tuple(row_logprobs[:length])))
        return utterances

    def _decode(self, observations: Sequence[Observation], deterministic: bool) -> tuple[Tensor, Tensor]:
        prompt = self._prompt(observations)
        ends = torch.tensor(sorted(self.eos_ids), device=self.device)
        cache = DynamicCache(config=self._base.config.get_text_config())
        mask = F.pad(prompt.mask, (0, self.max_new_tokens), value=True)
        length = prompt.mask.shape[1]
        inputs: dict[str, Tensor] = {"inputs_embeds": prompt.embeds}
        positions = prompt.positions
        done = torch.zeros(len(observations), dtype=torch.bool, device=self.device)
        tokens, logprobs = [], []
        for step in range(self.max_new_tokens):
            logits = self._forward(
                inputs, mask[:, : length + step], positions, past_key_values=cache, use_cache=True, logits_to_keep=1
            )[:, -1]
            scores = torch.log_softmax(logits, dim=-1)
            token = scores.argmax(-1) if deterministic else torch.multinomial(scores.exp(), 1).squeeze(-1)
            tokens.append(token)
            logprobs.append(scores.gather(-1, token[:, None]).squeeze(-1))
            done |= torch.isin(token, ends)
            if done.all():
                break
            inputs, positions = {"input_ids": token[:, None]}, positions[..., -1:] + 1
        return torch.stack(tokens, dim=1), torch.stack(logprobs, dim=1)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of generated ids, without special tokens."""
        return self.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids the policy would have generated to say `text`, ending in the end token."""
        end = self.tokenizer.eos_token_id if self.tokenizer.eos_token_id in self.eos_ids else min(self.eos_ids)
        return (*self.tokenizer(text, add_special_tokens=False)["input_ids"], end)

    # -- scoring ------------------------------------------------------------------------------------------------------

    def score(self, observations: Sequence[Observation], token_ids: Sequence[Sequence[int]]) -> TokenScores:
        """Logits and log-probabilities of given utterances, differentiable.

        Args:
            observations: B of them.
            token_ids: B utterances of at least one id each, as `generate` or `encode` gave them.

        Raises:
            ValueError: if the two differ in number or an utterance is empty.
        """
        if len(observations) != len(token_ids):
            raise ValueError(f"{len(observations)} observations were given with {len(token_ids)} utterances; give one each")
        if not all(len(ids) for ids in token_ids):
            raise ValueError("an utterance to score has no token; give at least its end token")
        prompt = self._prompt(observations)
        targets, mask = pad_right(token_ids, self.tokenizer.pad_token_id or 0, self.device)
        said = targets[:, :-1]
        steps = torch.arange(1, said.shape[1] + 1, device=self.device)
        scores = self._forward(
            {"inputs_embeds": torch.cat([prompt.embeds, self._base.get_input_embeddings()(said)], dim=1)},
            torch.cat([prompt.mask, mask[:, :-1]], dim=1),
            torch.cat([prompt.positions, prompt.positions[..., -1:] + steps], dim=-1),
            use_cache=False,
            logits_to_keep=targets.shape[1],
        )
        logprobs = torch.log_softmax(scores, dim=-1).gather(-1, targets[..., None]).squeeze(-1)
        return TokenScores(scores, logprobs.masked_fill(~mask, 0.0), mask)

    forward = score
    """So that a wrapped policy (DDP) synchronises its gradients."""

    def _forward(self, inputs: dict[str, Tensor], mask: Tensor, positions: Tensor, **kwargs: Any) -> Tensor:
        output = self.model(**inputs, attention_mask=mask, position_ids=positions, **kwargs)
        return output.logits.float() / self.temperature

    def _prompt(self, observations: Sequence[Observation]) -> "_Prompt":
        """Left-padded prompt embeddings with the images in their places."""
        encoded = [self.prompts.encode(observation) for observation in observations]
        ids, mask = _pad_left([row for row, _ in encoded], self.tokenizer.pad_token_id or 0, self.device)
        embeds = self._base.get_input_embeddings()(ids)
        keys = [key for _, key in encoded]
        by_key = self._image_features(dict(zip(keys, observations, strict=True)))
        images = torch.cat([by_key[key] for key in keys]).to(embeds.dtype)
        places = (ids == self.image_token_id)[..., None].expand_as(embeds)
        embeds = embeds.masked_scatter(places, images)
        return _Prompt(embeds, mask, self._positions(ids, mask, observations))

    def _positions(self, ids: Tensor, mask: Tensor, observations: Sequence[Observation]) -> Tensor:
        rope_index: Callable | None = getattr(getattr(self._base, "model", None), "get_rope_index", None)
        if rope_index is None:
            return (mask.long().cumsum(-1) - 1).clamp(min=0)
        grids = torch.cat([self.prompts.pixels(observation)["image_grid_thw"] for observation in observations])
        types = (ids == self.image_token_id).int()
        positions, _ = rope_index(ids, mm_token_type_ids=types, image_grid_thw=grids.to(ids.device), attention_mask=mask)
        return positions

    # -- seeing -------------------------------------------------------------------------------------------------------

    def _image_features(self, by_key: Mapping[Hashable, Observation]) -> dict[Hashable, Tensor]:
        """[tokens, width] of every distinct image; kept while the vision weights stay as they are, if no gradient is asked."""
        if torch.is_grad_enabled() and not self._vision_frozen:
            return dict(zip(by_key, self._see(self._base, list(by_key.values())), strict=True))
        version = sum(parameter._version for parameter in self._vision_parameters())
        if version != self._seen_version:
            self._seen.clear()
            self._seen_version = version
        found = {key: self._seen.get(key, lambda: None) for key in by_key if key in self._seen}
        missing = {key: observation for key, observation in by_key.items() if key not in found}
        if missing:
            with torch.no_grad():
                fresh = self._see(self._base, list(missing.values()))
            for key, features in zip(missing, fresh, strict=True):
                self._seen.put(key, features.clone())
                found[key] = features
        return found

    def _see(self, model: Any, observations: Sequence[Observation]) -> list[Tensor]:
        pixels = [self.prompts.pixels(observation) for observation in observations]
        batch = stack_images(pixels)
        if batch is None:
            return [features for one in pixels for features in self._encode_images(model, one)]
        return self._encode_images(model, batch)

    def _encode_images(self, model: Any, batch: Mapping[str, Tensor]) -> list[Tensor]:
        output = model.get_image_features(**{name: value.to(self.device) for name, value in batch.items()}, return_dict=True)
        return [features.flatten(0, -2) for features in getattr(output, "pooler_output", output)]

    def _vision_parameters(self) -> Iterator[nn.Parameter]:
        language = {id(parameter) for parameter in self._base.get_decoder().parameters()}
        language |= {id(parameter) for parameter in self._base.get_output_embeddings().parameters()}
        return (parameter for parameter in self._base.parameters() if id(parameter) not in language)

    # -- features for critics -----------------------------------------------------------------------------------------

    def freeze_features(self) -> None:
        """Take the weights as they are now for `features`; adapters are left out of it, so a LoRA policy needs no copy."""
        self._features.clear()
        if self.lora:
            return
        self.frozen = copy.deepcopy(self.model).requires_grad_(False).eval()

    @torch.no_grad()
    def features(self, observations: Sequence[Observation]) -> tuple[Tensor, Tensor]:
        """What a critic may know of observations without touching the policy: text [B, Dt] and image [B, Di], float32.

        The text's features are the mean of the last hidden states over the prompt's text read without the image; the
        image's are the mean of its projected vision tokens.

        Raises:
            ValueError: before `freeze_features`.
        """
        if self.frozen is None and not self.lora:
            raise ValueError("features come from frozen weights; call freeze_features() first")
        texts = self._cached_features([("text", o["text"]) for o in observations], observations, self._text_features)
        keys = [("image", self.prompts.encode(o)[1]) for o in observations]
        images = self._cached_features(keys, observations, self._pooled_images)
        return texts, images

    def _cached_features(
        self,
        keys: Sequence[Hashable],
        observations: Sequence[Observation],
        make: Callable[[Any, Sequence[Observation]], list[Tensor]],
    ) -> Tensor:
        missing = {key: o for key, o in zip(keys, observations, strict=True) if key not in self._features}
        rows = {key: self._features.get(key, lambda: None) for key in keys if key not in missing}
        if missing:
            with self._frozen_model() as model:
                fresh = make(model, list(missing.values()))
            rows |= dict(zip(missing, fresh, strict=True))
            for key, row in zip(missing, fresh, strict=True):
                self._features.put(key, row)
        return torch.stack([rows[key] for key in keys])

    @contextmanager
    def _frozen_model(self) -> Iterator[Any]:
        if self.frozen is not None:
            yield self.frozen
            return
        with _evaluating(self.model), self.model.disable_adapter():
            yield self._base

    def _text_features(self, model: Any, observations: Sequence[Observation]) -> list[Tensor]:
        rows = [self.tokenizer(o["text"], add_special_tokens=False)["input_ids"] or [min(self.eos_ids)] for o in observations]
        ids, mask = pad_right(rows, self.tokenizer.pad_token_id or 0, self.device)
        hidden = model.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state.float()
        return list((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))

    def _pooled_images(self, model: Any, observations: Sequence[Observation]) -> list[Tensor]:
        return [features.float().mean(0) for features in self._see(model, observations)]

    # -- keeping ------------------------------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As `nn.Module`; also takes a state saved after `freeze_features`."""
        if self.frozen is None and any(name.startswith("frozen.") for name in state_dict):
            self.freeze_features()
        self._features.clear()
        self._seen.clear()
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model (adapters alone if there are any) and its processor in Hugging Face format."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


@dataclass(frozen=True, slots=True)
class _Prompt:
    embeds: Tensor  # [B, P, D]
    mask: Tensor  # [B, P] bool
    positions: Tensor  # [B, P] or [3, B, P] (multimodal rotary positions)


def pad_right(rows: Sequence[Sequence[int]], fill: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids [B, T] int64 and mask [B, T] bool."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(width, device=device) < lengths[:, None]


def _pad_left(rows: Sequence[Sequence[int]], fill: int, device: torch.device) -> tuple[Tensor, Tensor]:
    ids, mask = pad_right([row[::-1] for row in rows], fill, device)
    return ids.flip(1), mask.flip(1)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = model.generation_config.eos_token_id
    ids = set(configured) if isinstance(configured, list | tuple) else {configured}
    ids = {*ids, tokenizer.eos_token_id} - {None}
    if not ids:
        raise UserError("neither the model nor its tokenizer names an end-of-sequence token; choose another checkpoint")
    return frozenset(ids)
