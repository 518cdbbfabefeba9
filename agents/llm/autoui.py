"""Auto-UI (arXiv 2309.11436): a T5 that reads one feature vector of the screen, as the DigiRL release trains it.

Its checkpoint is a folder with config.json, pytorch_model.bin and tokenizer.json. The vector is the pooled output of
BLIP-2's vision model, which is not in the folder and never trains.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AutoImageProcessor, Blip2VisionModel, PreTrainedTokenizerFast, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.prompts import check_seen
from agentlab_runner.agents.llm.utterances import Prompt, TokenScores, check, draw, pad
from agentlab_runner.agents.llm.weights.loading import locate, reaching
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import frame_of
from agentlab_runner.runners.types import Observation

IMAGE_WIDTH = 1408
"""Of BLIP-2's pooled features."""
OWN = ("image_dense", "mha_layer", "gate_dense")
"""What a T5 has not."""
PROMPT_LENGTH = 512
"""Tokens of a prompt that are read; what is cut off is its beginning, as in the release."""


class AutoUIModel(T5ForConditionalGeneration):  # type: ignore[misc]
    """T5 with a gate between encoder and decoder that lets in what attention sees of the image; the release's names."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        width = config.d_model
        self.image_dense = nn.Linear(getattr(config, "img_dim", IMAGE_WIDTH), width)
        self.mha_layer = nn.MultiheadAttention(width, num_heads=1, batch_first=True)
        self.gate_dense = nn.Linear(2 * width, width)
        self.post_init()

    def read(self, ids: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """States [B, P, D] the decoder attends to, of prompts [B, P] and image features [B, I]."""
        text = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        key = self.image_dense(image.to(text.dtype))[:, None]
        seen, _ = self.mha_layer(text, key, key, need_weights=False)
        gate = torch.sigmoid(self.gate_dense(torch.cat([text, seen], dim=-1)))
        states: Tensor = (1 - gate) * text + gate * seen
        return states


class AutoUIPolicy(LanguagePolicy):
    """A language policy on an encoder and a decoder; its features for critics are the release's image vectors."""

    eyes: tuple[Any, Any] | None = None
    """BLIP-2's vision model and image processor; not a part of the module, for they are never saved nor trained."""

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        name: str | Path,
        *,
        vision: str | None = None,
        lora: Mapping[str, Any] | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        quantize: None = None,
        **options: Any,
    ) -> "AutoUIPolicy":
        """Load an Auto-UI folder.

        Args:
            name: the folder.
            vision: repository or folder of the BLIP-2 model it was trained with (`Salesforce/blip2-opt-2.7b`). None:
                observations bring their `image_features` [1408] along, as those of the released trajectories do.
            lora, dtype: as for `LanguagePolicy.from_pretrained`.
            quantize: refused; the model has 0.2 B parameters.
            options: what else `LanguagePolicy.from_pretrained` takes.

        Raises:
            UserError: if the folder holds no Auto-UI checkpoint, or the eyes cannot be reached.
        """
        if quantize is not None:
            raise UserError("an Auto-UI model is small and trains whole; use model.quantize=null")
        source = locate(str(name))
        with reaching(str(name)):
            model, found = AutoUIModel.from_pretrained(
                source, dtype=getattr(torch, dtype), output_loading_info=True, weights_only=True
            )
        missing = sorted(key for key in found["missing_keys"] if key.split(".")[0] in OWN)
        if missing:
            raise UserError(
                f"{name} is a T5 without {missing[0]}, so it cannot see; give a folder trained by Auto-UI or DigiRL"
            )
        file = Path(source) / "tokenizer.json"
        if not file.is_file():
            raise UserError(f"{name} holds no tokenizer.json; give the whole Auto-UI folder")
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(file),
            pad_token="<pad>",
            eos_token="</s>",
            unk_token="<unk>",
            truncation_side="left",
            model_max_length=PROMPT_LENGTH,
        )
        policy = cls(model, tokenizer, lora=lora, **options)
        if vision is not None:
            with reaching(vision):
                seeing = Blip2VisionModel.from_pretrained(vision, dtype=getattr(torch, dtype)).eval()
                policy.eyes = seeing.requires_grad_(False), AutoImageProcessor.from_pretrained(vision)
        return policy

    def _prompt(self, observations: Sequence[Observation]) -> Prompt:
        ids, mask = pad([self.prompts.ids(o)[-PROMPT_LENGTH:] for o in observations], self._pad_id, self.device)
        states = self._base.read(ids, mask, torch.stack([self._look(o) for o in observations]))
        return Prompt(states, mask, ids)

    def _look(self, observation: Observation) -> Tensor:
        """[I] float32, the features of the screen."""
        given = observation.get("image_features")
        if given is not None:
            return torch.as_tensor(given, dtype=torch.float32, device=self.device)
        if self.eyes is None:
            raise UserError("this observation has no image_features; give the model eyes by model.vision=REPOSITORY")
        model, processor = self.eyes
        check_seen(observation)
        key = frame_of(observation, "image")
        if key not in self._seen:
            with torch.no_grad(), torch.autocast(self.device.type, enabled=False):  # equal, whoever asks for it first
                pixels = processor(observation["image"], return_tensors="pt")["pixel_values"]
                weight = next(model.to(self.device).parameters())
                self._seen[key] = model(pixel_values=pixels.to(weight)).pooler_output[0].float()
        return torch.as_tensor(self._seen[key])

    def forget_images(self) -> None:
        """Nothing: the eyes never change, and see one image at a time."""

    @torch.inference_mode()
    def _decode(self, prompt: Prompt, deterministic: bool) -> tuple[Tensor, Tensor, Tensor]:
        """As `LanguagePolicy._decode`; the first token is predicted from the decoder's start token."""
        ends = torch.tensor(sorted(self.eos_ids), device=self.device)
        done = torch.zeros(len(prompt.mask), dtype=torch.bool, device=self.device)
        token, cache = self._start(len(prompt.mask)), None
        tokens, logprobs = [], []
        first: Tensor | None = None
        for _ in range(self.max_new_tokens):
            output, hidden = self._run(prompt, token[:, None], past_key_values=cache, use_cache=True)
            first = hidden[:, 0] if first is None else first
            cache = output.past_key_values
            scores = torch.log_softmax(output.logits[:, -1].float() / self.temperature, dim=-1)
            token = scores.argmax(-1) if deterministic else draw(scores)
            tokens.append(token)
            logprobs.append(scores.gather(-1, token[:, None])[:, 0])
            done |= torch.isin(token, ends)
            if done.all():
                break
        assert first is not None
        return torch.stack(tokens, dim=1), torch.stack(logprobs, dim=1), first

    def score(
        self, observations: Sequence[Observation], token_ids: Sequence[Sequence[int]], width: int | None = None
    ) -> TokenScores:
        """As `LanguagePolicy.score`."""
        check(observations, token_ids)
        targets, mask = pad(token_ids, self._pad_id, self.device, width)
        given = torch.cat([self._start(len(targets))[:, None], targets[:, :-1]], dim=1)
        output, hidden = self._run(self._prompt(observations), given, use_cache=False)
        logits = output.logits.float() / self.temperature
        logprobs = torch.log_softmax(logits, dim=-1).gather(-1, targets[..., None])[..., 0]
        return TokenScores(logits, logprobs.masked_fill(~mask, 0.0), mask, hidden[:, 0])

    def _start(self, batch: int) -> Tensor:
        start = self._base.config.decoder_start_token_id
        return torch.full((batch,), self._pad_id if start is None else start, device=self.device)

    def _run(self, prompt: Prompt, ids: Tensor, **options: Any) -> tuple[Any, Tensor]:
        """The decoder's output on ids [B, T], and what its head read [B, T, D] float32."""
        with self._reading_head() as read:
            output = self.model(
                encoder_outputs=BaseModelOutput(last_hidden_state=prompt.embeds),
                attention_mask=prompt.mask,
                decoder_input_ids=ids,
                **options,
            )
        return output, read[0].float()

    def _text_features(self, model: Any, observation: Observation) -> Tensor:
        text = observation["text"]
        if text not in self._features:
            ids = torch.tensor([self.prompts.ids(observation)[-PROMPT_LENGTH:]], device=self.device)
            self._features[text] = model.encoder(input_ids=ids).last_hidden_state[0].float().mean(0)
        return torch.as_tensor(self._features[text])

    def _image_features(self, model: Any, observation: Observation) -> Tensor:
        return self._look(observation)
