"""Any local model as a chat model: one adapter over `LanguagePolicy`."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from agentlab_runner.agents.llm.chat.history import fitted
from agentlab_runner.agents.llm.chat.request import Answering, Request
from agentlab_runner.agents.llm.chat.speech.prefixes import agreement
from agentlab_runner.agents.llm.chat.speech.reading import PLAIN_STOP, Reader, Script
from agentlab_runner.agents.llm.chat.speech.speaking import Row, Speaker
from agentlab_runner.agents.llm.chat.types import Message, Reply
from agentlab_runner.agents.llm.chat.wire import cut_at
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.token_tree import build
from agentlab_runner.runners.errors import UserError

SAMPLED = 16
"""Values of each weight that a model is known by."""


class LocalChat(Answering):
    """A policy that is talked to, in its own chat template or a plain one.

    A reply depends on its request and its draw alone. Beginnings that conversations share, and what a conversation's
    last turn has read already, are computed once, as long as `cache_mb` holds them.

    Args:
        policy: of any family that decodes; its temperature is that of samples.
        context: tokens that prompt and reply may have together; None: what the model reads.
        cache_mb: bound of the keys and values kept, in MiB.
        record: folder that keeps what is asked and answered.

    Raises:
        UserError: if the policy is not talked to.
    """

    def __init__(
        self, policy: LanguagePolicy, *, context: int | None = None, cache_mb: int = 512, record: str | None = None
    ) -> None:
        config = policy.model.config
        if getattr(config, "is_encoder_decoder", False):
            raise UserError("Auto-UI reads one prompt with one screen and is not talked to; use model=smollm2_chat")
        if policy.server is not None:
            raise UserError("a policy with a rollout server is for training; use model=chat with the server's address")
        self.policy = policy
        self.record = record or policy.record
        self.reader, self.speaker = Reader(policy), Speaker(policy, cache_mb)
        reads = getattr(config.get_text_config(), "max_position_embeddings", None)
        self.context = min((n for n in (context, reads) if n), default=None)
        self._name = Path(str(getattr(config, "name_or_path", "") or "local")).name
        self._version, self._weights = -1, ""

    @classmethod
    def from_pretrained(
        cls,
        name: str,
        *,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        temperature: float = 1.0,
        context: int | None = None,
        cache_mb: int = 512,
        record: str | None = None,
    ) -> "LocalChat":
        """Load a model to talk to; the keys of `LocalSettings`, `name` and `dtype` as for `LanguagePolicy`."""
        policy = LanguagePolicy.from_pretrained(name, dtype=dtype, temperature=temperature)
        return cls(policy, context=context, cache_mb=cache_mb, record=record)

    @property
    def name(self) -> str:
        return self._name

    @property
    def sees(self) -> bool:
        return self.policy.sees

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its weights by a hash, so that answers of another training are not taken for its own."""
        self._notice_training()
        return {"temperature": self.policy.temperature, "context": self.context, "weights": self._weights}

    def tokens(self, messages: Sequence[Message]) -> int:
        """Of a prompt, in its own template."""
        return len(self.reader.script(messages).ids)

    def to(self, device: torch.device | str) -> "LocalChat":
        """On another device."""
        self.policy.to(device)
        if self.speaker.tree is not None:
            self.speaker.tree.clear()
        return self

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """As `Answering.replies`."""
        if self.policy.training:
            self.policy.eval()
        self._notice_training()
        asked: dict[Row, tuple[int, Request, Script, int]] = {}
        began = time.perf_counter()
        for place, request in enumerate(requests):
            script, dropped = self._script(request)
            if self.context is not None and len(script.ids) > self.context - request.max_tokens:
                yield place, Reply("", 0, 0, 0.0, 0.0, "length", model=self.name, dropped=dropped, requests=0)
            elif request.choices is not None:
                yield place, self._choose(request, script, dropped)
            else:
                asked[self._row(request, script)] = place, request, script, dropped
        for batch in self.speaker.say(list(asked)):
            seconds = time.perf_counter() - began
            for row in batch:
                place, request, script, dropped = asked[row]
                yield place, self._told(row, request, script, dropped, seconds)

    def _script(self, request: Request) -> tuple[Script, int]:
        """The conversation within the context, and how many turns were left out for it."""
        room = None if self.context is None else self.context - request.max_tokens
        if room is not None and room < 1:
            raise UserError(
                f"a reply of {request.max_tokens} tokens leaves no room in the {self.context} that {self.name} reads; "
                "ask for a shorter one"
            )
        made: dict[tuple[Message, ...], Script] = {}

        def count(messages: Sequence[Message]) -> int:
            script = made[tuple(messages)] = self.reader.script(messages)
            return len(script.ids)

        kept, dropped = fitted(request.messages, room, count)
        return made.get(kept) or self.reader.script(kept), dropped

    def _row(self, request: Request, script: Script) -> Row:
        chance = None
        if not request.deterministic:
            own = torch.Generator().manual_seed(request.seed)
            chance = torch.rand(request.max_tokens, generator=own, dtype=torch.float64)
        stop = self._stop(request)

        def ended(tokens: Sequence[int]) -> bool:
            return any(one in self.policy.decode(tokens) for one in stop)

        return Row(self.reader.prompt(script), request.max_tokens, chance, ended)

    def _stop(self, request: Request) -> tuple[str, ...]:
        return request.stop if self.reader.has_template else (*request.stop, PLAIN_STOP)

    def _told(self, row: Row, request: Request, script: Script, dropped: int, seconds: float) -> Reply:
        whole = self.policy.decode(row.tokens)
        text = cut_at(whole, self._stop(request))
        ended = row.tokens[-1] in self.policy.eos_ids or len(text) < len(whole)
        return Reply(
            text if self.reader.has_template else text.strip(),
            len(script.ids),
            len(row.tokens),
            seconds,
            0.0,
            "stop" if ended else "length",
            model=self.name,
            dropped=dropped,
            merged=script.merged,
        )

    def _choose(self, request: Request, script: Script, dropped: int) -> Reply:
        """The likeliest choice, or one drawn by how likely each is to be said."""
        assert request.choices is not None
        began, joint = time.perf_counter(), "" if self.reader.has_template else " "
        prompt, whole = self.reader.prompt(script), [self._ids(script, joint + choice) for choice in request.choices]
        shared = min(len(prompt.ids), *(agreement(prompt.ids, ids) for ids in whole))  # the tokenizer may join an end
        tree = build(prompt.ids[:shared], [ids[shared:] for ids in whole], self.policy.tokenizer.eos_token_id)
        weights = self.speaker.weigh(prompt.part(0, shared), tree)
        chosen = max(range(len(weights)), key=weights.__getitem__)
        if not request.deterministic:
            passed = torch.softmax(torch.tensor(weights, dtype=torch.float64), dim=0).cumsum(0)
            point = torch.rand((), generator=torch.Generator().manual_seed(request.seed), dtype=torch.float64)
            chosen = int(torch.searchsorted(passed, point * passed[-1], right=True).clamp(max=len(weights) - 1))
        return Reply(
            request.choices[chosen],
            len(script.ids),
            len(whole[chosen]) - shared,
            time.perf_counter() - began,
            0.0,
            "choice",
            model=self.name,
            dropped=dropped,
            merged=script.merged,
        )

    def _ids(self, script: Script, text: str) -> tuple[int, ...]:
        return self.reader.prompts.tokens(script.text + text)

    def _notice_training(self) -> None:
        """Forget what other weights have read."""
        version = sum(parameter._version for parameter in self.policy.parameters())
        if version == self._version:
            return
        if self.speaker.tree is not None:
            self.speaker.tree.clear()
        found = hashlib.sha256()
        for name, weight in self.policy.named_parameters():
            values = weight.detach().flatten()
            some = torch.cat([values[: SAMPLED // 2], values[-SAMPLED // 2 :]]).float().cpu()
            found.update(f"{name}{tuple(weight.shape)}".encode() + some.numpy().tobytes())
        self._version, self._weights = version, found.hexdigest()[:16]
