"""A language model, with eyes or without, as a policy: sample utterances for a batch of observations, score them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agentlab_runner.agents.llm.halves import readable
from agentlab_runner.agents.llm.kv_cache import ReservedCache
from agentlab_runner.agents.llm.prompts import PromptEncoder, PromptFormat
from agentlab_runner.agents.llm.seeing import Seeing, evaluating
from agentlab_runner.agents.llm.server import RolloutServer
from agentlab_runner.agents.llm.utterances import Prompt, TokenScores, Utterance, check, draw, pad
from agentlab_runner.agents.llm.weights.adapters import load_adapters
from agentlab_runner.agents.llm.weights.loading import add_lora, load
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.processes.collective import divided, unsplit
from agentlab_runner.runners.types import Observation


class LanguagePolicy(Seeing):
    """Any `AutoModelForImageTextToText` with its processor, or any `AutoModelForCausalLM` with its tokenizer.

    The latter leaves images aside. `from_pretrained` says what the arguments mean.
    """

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
        record: str | None = None,
    ) -> None:
        super().__init__(
            model if lora is None else add_lora(model, lora),
            PromptEncoder(processor, prompt_format, image_cache_mb),
            has_adapters=lora is not None,
            freeze_vision=freeze_vision,
            image_cache_mb=image_cache_mb,
        )
        self.record = record
        self.processor = processor
        self.tokenizer = self.prompts.tokenizer
        self.server: RolloutServer | None = None
        self.max_new_tokens = max_new_tokens
        self.temperature = temperature
        self.eos_ids = _eos_ids(self._base, self.tokenizer)
        self.image_id = self.tokenizer.convert_tokens_to_ids(self.prompts.image_token) if self.prompts.sees else -1
        self._pad_id = self.tokenizer.pad_token_id or 0
        cast(Any, self).register_state_dict_post_hook(_drop_loaded)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        lora: Mapping[str, Any] | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        quantize: Literal["4bit", "8bit"] | None = None,
        prompt_format: PromptFormat = "raw",
        freeze_vision: bool = False,
        max_new_tokens: int = 96,
        temperature: float = 1.0,
        image_cache_mb: int = 256,
        record: str | None = None,
        server: Mapping[str, Any] | None = None,
    ) -> "LanguagePolicy":
        """Load a hub repository, a local folder or a GGUF file.

        Args:
            name: `owner/model` on the hub, a folder with a checkpoint in Hugging Face format, a `.gguf` file, or
                `package:MODULE/FILE.gguf` for one that an installed package brought.
            lora: `{r, alpha, dropout, targets, last_k_layers, start}` to train low-rank adapters alone (arXiv
                2106.09685), as they are in the PEFT folder `start` or new.
            dtype: of the weights; logits and log-probabilities are float32 always.
            quantize: load the weights in 4 or 8 bits, which needs a CUDA GPU; they cannot train then, adapters can.
            prompt_format: `raw` = image, then the text as it is; `chat` = one user turn in the model's chat template.
            freeze_vision: the vision tower and its projection do not train, and each distinct image is encoded once.
            max_new_tokens: where an utterance is cut if no end token came.
            temperature: divides the logits, in sampling and in scoring alike.
            image_cache_mb: bound of the prepared images kept, again of the encoded ones, and again of the features.
            record: folder that keeps what an agent that prompts asks of it, see `agents.llm.chat`.
            server: the keys of `ServerSettings`; generation is left to that server.

        Raises:
            UserError: if the checkpoint cannot be reached, or is of no kind that generates text.
        """
        model, processor = load(str(name), dtype, quantize)
        policy = cls(
            model,
            processor,
            lora=lora,
            prompt_format=prompt_format,
            freeze_vision=freeze_vision,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            image_cache_mb=image_cache_mb,
            record=record,
        )
        if lora is not None and lora.get("start"):
            load_adapters(policy.model, lora["start"])
        if server is not None:
            policy.server = RolloutServer(str(name), **server)
        return policy

    @property
    def sees(self) -> bool:
        """Whether prompts hold the observation's picture."""
        return self.prompts.sees

    @property
    def lora_rank(self) -> int:
        return max((config.r for config in self.model.peft_config.values()), default=0) if self.has_adapters else 0

    @property
    def hidden_size(self) -> int:
        """D of the states."""
        return int(self._base.config.get_text_config().hidden_size)

    def trainable_parameters(self) -> list[nn.Parameter]:
        """What an optimiser should get."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    # -- speaking -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def generate(self, observations: Sequence[Observation], *, deterministic: bool = False) -> list[Utterance]:
        """One utterance an observation, sampled by torch's global generator, or the greedy one."""
        if not observations:
            return []
        if self.server is not None:
            with evaluating(self.model), unsplit(self):
                return self.server.generate(self, observations, deterministic)
        with evaluating(self.model), unsplit(self):
            tokens, logprobs, states = self._decode(self._prompt(observations), deterministic)
        utterances = []
        states = states.clone()  # a value head may learn from them, which tensors made in inference mode forbid
        for row, row_logprobs, state in zip(tokens.tolist(), logprobs.tolist(), states, strict=True):
            length = next((i + 1 for i, token in enumerate(row) if token in self.eos_ids), len(row))
            ids = tuple(row[:length])
            utterances.append(Utterance(self.decode(ids), ids, tuple(row_logprobs[:length]), state))
        return utterances

    @torch.inference_mode()
    def _decode(self, prompt: Prompt, deterministic: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [B, T] and their log-probabilities, until every row has ended; what follows a row's end is noise.

        Also the states [B, D] the first tokens were predicted from.

        As fast as transformers' `generate`, which would not take the positions and the temperature that `score` uses.
        """
        batch, length = prompt.mask.shape
        ends = torch.tensor(sorted(self.eos_ids), device=self.device)
        done = torch.zeros(batch, dtype=torch.bool, device=self.device)
        cache = ReservedCache(self._base.config.get_text_config(), length + self.max_new_tokens)
        mask = F.pad(prompt.mask, (0, self.max_new_tokens), value=True)
        inputs, positions = {"inputs_embeds": prompt.embeds}, prompt.positions
        tokens, logprobs = [], []
        states: list[Tensor] = []
        for step in range(self.max_new_tokens):
            seen = mask[:, : length + step]
            logits, hidden = self._logits(inputs, seen, positions, keep=1, past_key_values=cache, use_cache=True)
            states = states or [hidden[:, 0]]
            scores = torch.log_softmax(logits[:, -1], dim=-1)
            token = scores.argmax(-1) if deterministic else draw(scores)
            tokens.append(token)
            logprobs.append(scores.gather(-1, token[:, None]).squeeze(-1))
            done |= torch.isin(token, ends)
            if done.all():
                break
            inputs, positions = {"input_ids": token[:, None]}, positions[..., -1:] + 1
        return torch.stack(tokens, dim=1), torch.stack(logprobs, dim=1), states[0]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of generated ids, without special tokens."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids the policy would generate to say `text`, ending in the end token."""
        end = self.tokenizer.eos_token_id if self.tokenizer.eos_token_id in self.eos_ids else min(self.eos_ids)
        return (*self.tokenizer(readable(text), add_special_tokens=False)["input_ids"], end)

    # -- scoring ------------------------------------------------------------------------------------------------------

    def forward(self, observations: Sequence[Observation], token_ids: Sequence[Sequence[int]]) -> TokenScores:
        """`score`, with the rows divided among the processes of a trainer; what is trained is called this way."""
        if self.server is not None and torch.is_grad_enabled():
            self.server.outdated()
        return divided(self.score, observations, token_ids, width=max(map(len, token_ids), default=0))

    def score(
        self, observations: Sequence[Observation], token_ids: Sequence[Sequence[int]], width: int | None = None
    ) -> TokenScores:
        """Logits and log-probabilities of given utterances, differentiable.

        Args:
            observations: B of them.
            token_ids: B utterances of at least one id each, as `generate` or `encode` gave them.
            width: T of the result; None: of the longest utterance.

        Raises:
            ValueError: if the two differ in number or an utterance is empty.
        """
        check(observations, token_ids)
        prompt = self._prompt(observations)
        targets, mask = pad(token_ids, self._pad_id, self.device, width)
        said = self._base.get_input_embeddings()(targets[:, :-1])
        steps = torch.arange(1, targets.shape[1], device=self.device)
        logits, hidden = self._logits(
            {"inputs_embeds": torch.cat([prompt.embeds, said], dim=1)},
            torch.cat([prompt.mask, mask[:, :-1]], dim=1),
            torch.cat([prompt.positions, prompt.positions[..., -1:] + steps], dim=-1),
            keep=targets.shape[1],
            use_cache=False,
        )
        logprobs = torch.log_softmax(logits, dim=-1).gather(-1, targets[..., None]).squeeze(-1)
        return TokenScores(logits, logprobs.masked_fill(~mask, 0.0), mask, hidden[:, 0])

    def _logits(
        self, inputs: dict[str, Tensor], mask: Tensor, positions: Tensor, keep: int, **options: Any
    ) -> tuple[Tensor, Tensor]:
        """Logits [B, keep, V], the head being computed on the last `keep` positions alone, and what it read there."""
        with self._reading_head() as read:
            output = self.model(**inputs, attention_mask=mask, position_ids=positions, logits_to_keep=keep, **options)
        return output.logits.float() / self.temperature, read[0].float()

    @contextmanager
    def _reading_head(self) -> Iterator[list[Tensor]]:
        """Inside, what the head is given is put into the list."""
        read: list[Tensor] = []
        hook = self._base.get_output_embeddings().register_forward_pre_hook(lambda _, given: read.append(given[0]))
        try:
            yield read
        finally:
            hook.remove()

    def _prompt(self, observations: Sequence[Observation]) -> Prompt:
        ids, mask = pad([self.prompts.ids(o)[::-1] for o in observations], self._pad_id, self.device)
        ids, mask = ids.flip(1), mask.flip(1)
        embeds = self._base.get_input_embeddings()(ids)
        if not self.prompts.sees:
            return Prompt(embeds, mask, self.positions(ids, mask, observations))
        images = torch.cat(self.see(observations)).to(embeds.dtype)
        places = (ids == self.image_id)[..., None].expand_as(embeds)
        return Prompt(embeds.masked_scatter(places, images), mask, self.positions(ids, mask, observations))

    def positions(self, ids: Tensor, mask: Tensor, observations: Sequence[Observation]) -> Tensor:
        """Places of prompt tokens [B, P], or [3, B, P]; observations are those whose pictures stand there, in order."""
        rope_index = getattr(getattr(self._base, "model", None), "get_rope_index", None)
        plain = (mask.long().cumsum(-1) - 1).clamp(min=0)
        if rope_index is None:
            return plain
        if not observations:
            return plain.expand(3, *plain.shape)
        positions, _ = rope_index(
            ids,
            mm_token_type_ids=(ids == self.image_id).int(),
            image_grid_thw=torch.cat([self.prompts.pixels(o)["image_grid_thw"] for o in observations]).to(self.device),
            attention_mask=mask,
        )
        return torch.as_tensor(positions)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As `nn.Module`, but of a model with adapters the adapters alone: the rest is as it was loaded.

        What is kept of images is dropped where it may be encoded anew, as after loading.
        """
        if not self.freeze_vision:
            self.forget_images()
        return super().state_dict(*args, **kwargs)

    def _trains(self, name: str) -> bool:
        """Whether the weight of this name in a state may differ from what was loaded."""
        return not self.has_adapters or ".lora_" in name

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As `nn.Module`; also takes a state saved after `freeze_features`."""
        if self.frozen is None and any(name.startswith("frozen.") for name in state_dict):
            self.freeze_features()
        self._seen.clear()
        self._features.clear()
        if self.server is not None:
            self.server.outdated()
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        odd = [name for name in result.missing_keys if self._trains(name)] + result.unexpected_keys
        if strict and odd:
            raise RuntimeError(f"this state is of another model: {odd[0]} does not match")
        return result

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model (its adapters alone if it has any) and its processor in Hugging Face format."""
        alone = {"save_embedding_layers": False} if self.has_adapters else {}  # else peft asks the hub for the base
        self.model.save_pretrained(folder, **alone)
        self.processor.save_pretrained(folder)


def _drop_loaded(policy: LanguagePolicy, state: dict[str, Any], *others: Any) -> None:
    for name in [name for name in state if not policy._trains(name)]:
        del state[name]


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = model.generation_config.eos_token_id
    ids = {*(configured if isinstance(configured, list) else [configured]), tokenizer.eos_token_id} - {None}
    if not ids:
        raise UserError("neither the model nor its tokenizer names an end-of-sequence token; choose another checkpoint")
    return frozenset(ids)
