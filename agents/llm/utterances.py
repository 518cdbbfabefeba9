"""What is said and what is scored: the nouns a policy deals in, and the arithmetic of their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from agentlab_runner.runners.types import Observation


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the policy said to one observation."""

    text: str
    """Decoded without special tokens."""
    token_ids: tuple[int, ...]
    """Generated ids, the end token included when it was generated."""
    logprobs: tuple[float, ...]
    """Under the sampling distribution (temperature applied), one a token."""
    state: Tensor = field(compare=False)
    """[D] float32, the hidden state the first token was predicted from (the last prompt token's); for inference."""


@dataclass(frozen=True, slots=True)
class TokenScores:
    """What the policy now thinks of given utterances, a row each, right-padded."""

    logits: Tensor
    """[B, T, V] float32, next-token logits (temperature applied) at the generated positions."""
    logprobs: Tensor
    """[B, T] float32, of the given tokens; 0 on padding."""
    mask: Tensor
    """[B, T] bool, True on given tokens."""
    states: Tensor
    """[B, D] float32, the hidden states the first tokens are predicted from: what a value head may read."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Prompts with their images in place, left-padded."""

    embeds: Tensor  # [B, P, D]
    mask: Tensor  # [B, P] bool
    positions: Tensor  # [B, P], or [3, B, P] for a multimodal rotary embedding


def pad(
    rows: Sequence[Sequence[int]], fill: int, device: torch.device, width: int | None = None
) -> tuple[Tensor, Tensor]:
    """Ids [B, T] int64 padded on the right, and mask [B, T] bool."""
    lengths = torch.tensor([len(row) for row in rows], device=device)
    width = width or int(lengths.max())
    ids = torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], device=device)
    return ids, torch.arange(width, device=device) < lengths[:, None]


def check(observations: Sequence[Observation], token_ids: Sequence[Sequence[int]]) -> None:
    if len(observations) != len(token_ids):
        raise ValueError(f"{len(observations)} observations came with {len(token_ids)} utterances; give one each")
    if not all(len(ids) for ids in token_ids):
        raise ValueError("an utterance to score has no token; give at least its end token")


def draw(logprobs: Tensor) -> Tensor:
    """One index a row [B] of log-probabilities [B, V]: where the cumulated distribution passes a uniform number.

    `torch.multinomial` draws a number for every entry, which took as long as a layer of a small model.
    """
    cumulated = logprobs.exp().cumsum(-1)
    passed = torch.rand(len(logprobs), 1, device=logprobs.device) * cumulated[:, -1:]
    return torch.searchsorted(cumulated, passed, right=True)[:, 0].clamp(max=logprobs.shape[1] - 1)
