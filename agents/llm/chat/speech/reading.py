"""From a conversation to what a local model eats: its template, its pictures in their places, and nothing that a page
wrote taken for a mark of the template."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor

from agentlab_runner.agents.llm.chat.history import in_turn, without_system
from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.agents.llm.chat.wire import NO_PICTURE
from agentlab_runner.agents.llm.halves import readable
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import Frame, Kept
from agentlab_runner.runners.types import Observation

PLAIN_STOP = "\nUser:"
"""Where a model that knows no turns begins to speak for the other side."""
_TURN = re.compile(r"(?<=\n)(?=(?:System|User|Assistant):)")
"""Where a text would begin another turn of a model without a template; it is given a blank."""


@dataclass(frozen=True, slots=True)
class Script:
    """A conversation as text, pictures expanded to the tokens that stand for them."""

    text: str
    ids: tuple[int, ...]
    pictures: tuple[Frame, ...]
    merged: int
    """Turns that were joined with the one before."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads, on its device."""

    keys: tuple[int, ...]
    """[P] what each token is: its id, or a negative number for a part of a picture, of its content."""
    ids: tuple[int, ...]  # [P]
    embeds: Tensor  # [P, D]
    positions: Tensor  # [P], or [3, P] for a multimodal rotary embedding

    def part(self, start: int, end: int) -> "Prompt":
        """Its tokens from `start` to `end`."""
        own = slice(start, end)
        return Prompt(self.keys[own], self.ids[own], self.embeds[own], self.positions[..., own])


class Reader:
    """Writes and reads conversations as one model knows them."""

    def __init__(self, policy: LanguagePolicy) -> None:
        self.policy, self.prompts = policy, policy.prompts
        self.has_template = bool(getattr(policy.processor, "chat_template", None))
        tokenizer = policy.tokenizer
        marks = {str(token) for token in tokenizer.all_special_tokens}
        marks |= {str(token) for token in getattr(tokenizer, "added_tokens_decoder", {}).values() if token.special}
        marks |= {self.prompts.image_token} - {""}
        self._marks = re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True)))) if marks else None
        self._expands_alike: bool | None = None

    def script(self, messages: Sequence[Message]) -> Script:
        """The conversation with the beginning of the model's turn.

        Raises:
            UserError: if the model's template refuses it.
        """
        turns, merged = in_turn(messages)
        text, sees = self._written(turns), self.prompts.sees
        pictures = tuple(part for turn in turns for part in turn.parts if sees and isinstance(part, Frame))
        if not pictures:
            return Script(text, self.prompts.tokens(text), (), merged)
        pieces = text.split(self.prompts.image_token)
        if len(pieces) != len(pictures) + 1:
            raise UserError("the model's template leaves pictures out; choose a vision-language model that takes them")
        expanded = pieces[0] + "".join(
            self.prompts.expansion(_seen(picture)) + piece for picture, piece in zip(pictures, pieces[1:], strict=True)
        )
        ids = self.prompts.tokens(expanded)
        if self._expands_alike is None:
            self._expands_alike = ids == self._by_processor(text, pictures)
        return Script(expanded, ids if self._expands_alike else self._by_processor(text, pictures), pictures, merged)

    def prompt(self, script: Script) -> Prompt:
        """What the model reads of it."""
        policy = self.policy
        ids = torch.tensor([script.ids], device=policy.device)
        base = policy.model.get_base_model() if policy.has_adapters else policy.model
        embeds, keys = base.get_input_embeddings()(ids)[0], list(script.ids)
        shown = [_seen(picture) for picture in script.pictures]
        if script.pictures:
            places = [place for place, token in enumerate(script.ids) if token == policy.image_id]
            looks = [policy.see([one])[0] for one in shown]  # one by one: the last bits depend on what is seen together
            embeds[places] = torch.cat(looks).to(embeds.dtype)
            names = [
                -1 - (int(picture.name[:12], 16) * 65536 + part)
                for picture, look in zip(script.pictures, looks, strict=True)
                for part in range(len(look))
            ]
            for place, name in zip(places, names, strict=True):
                keys[place] = name
        positions = policy.positions(ids, torch.ones_like(ids, dtype=torch.bool), shown)
        return Prompt(tuple(keys), script.ids, embeds, positions[..., 0, :])

    def _written(self, turns: Sequence[Message]) -> str:
        if not self.has_template:
            said = [f"{turn.role.capitalize()}: {_TURN.sub(' ', self._spoken(turn))}" for turn in turns]
            return "\n".join([*said, "Assistant:"])
        try:
            return self._templated(turns)
        except TemplateError:  # of families that know no system turn
            pass
        try:
            return self._templated(without_system(turns))
        except TemplateError as fault:
            why = " ".join(str(fault).split())[:200]
            raise UserError(f"the model's chat template refuses the conversation ({why}); choose another") from fault

    def _templated(self, turns: Sequence[Message]) -> str:
        content: list[dict[str, Any]] = [
            {"role": turn.role, "content": self._content(turn) if self.prompts.sees else self._spoken(turn)}
            for turn in turns
        ]
        return str(self.policy.processor.apply_chat_template(content, add_generation_prompt=True, tokenize=False))

    def _content(self, turn: Message) -> list[dict[str, str]]:
        return [
            {"type": "text", "text": self._harmless(part)} if isinstance(part, str) else {"type": "image"}
            for part in turn.parts
        ]

    def _spoken(self, turn: Message) -> str:
        markup = self.prompts.image_markup if self.prompts.sees else NO_PICTURE
        return "".join(self._harmless(part) if isinstance(part, str) else markup for part in turn.parts)

    def _harmless(self, text: str) -> str:
        """The text with a blank in whatever the tokenizer would take for one of its marks."""
        return self._marks.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if self._marks else text

    def _by_processor(self, text: str, pictures: Sequence[Frame]) -> tuple[int, ...]:
        shown = [[picture.array() for picture in pictures]]
        specials = {} if self.prompts.needs_specials(text) else {"add_special_tokens": False}
        batch = self.policy.processor(text=[readable(text)], images=shown, return_tensors="pt", **specials)
        return tuple(batch["input_ids"][0].tolist())


def _seen(picture: Frame) -> Observation:
    return Kept({"image": picture})
