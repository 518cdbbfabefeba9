"""A small transformer over a goal's words and the phrases that can be done; it points at one of them.

A word is a fixed random vector, drawn by its number, so that words never seen in training are still equal or not, plus
a learnt one. A phrase is one token: the means of its quoted words and of its others, what they have to do with the
goal's, and the features of the thing it acts on. Attention knows which words are equal and how far apart words are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agentlab_runner.agents.pointer.states import MEETINGS, State
from agentlab_runner.agents.rl.ppo import ValueHead

HASHED, WIDTH = 4096, 32
"""Rows and width of each of the two tables of fixed vectors."""
LEARNT = 1024
"""Rows of learnt word vectors, which several words may share."""
REACH = 6
"""Words of a goal that are so far apart or farther are equally far."""


@dataclass(frozen=True, slots=True)
class Batch:
    """States of any sizes, padded: B states, G words of a goal, N phrases of W words."""

    goal: Tensor
    """[B, G] int64, 0 behind a goal's end."""
    words: Tensor
    """[B, N, W] int64."""
    quoted: Tensor
    """[B, N, W] bool."""
    seen: Tensor
    """[B, N, MEETINGS + d] float."""
    there: Tensor
    """[B, N] bool: which phrases there are."""


def batch_of(states: Sequence[State], device: torch.device) -> Batch:
    """
    Raises:
        ValueError: if states have features of different widths.
    """
    if len(widths := {state.features.shape[1] for state in states}) > 1:
        raise ValueError(f"phrases have {' and '.join(map(str, sorted(widths)))} features; it must be one number")
    count, most = len(states), max(map(len, states))
    goal = np.zeros((count, max(1, *(len(state.goal) for state in states))), np.int64)
    words = np.zeros((count, most, max(state.words.shape[1] for state in states)), np.int64)
    quoted = np.zeros(words.shape, np.bool_)
    seen = np.zeros((count, most, MEETINGS + states[0].features.shape[1]), np.float32)
    there = np.zeros((count, most), np.bool_)
    for row, state in enumerate(states):
        n, width = state.words.shape
        goal[row, : len(state.goal)] = state.goal
        words[row, :n, :width], quoted[row, :n, :width] = state.words, state.quoted
        seen[row, :n, :MEETINGS], seen[row, :n, MEETINGS:] = state.meetings, state.features
        there[row, :n] = True
    return Batch(*(torch.from_numpy(part).to(device) for part in (goal, words, quoted, seen, there)))


class PointerNetwork(nn.Module):
    """ln pi over the phrases of each state, and V of it.

    Args:
        features: d, of a phrase's features.
        size: width of a token.
        layers, heads: of the transformer.
    """

    hashed: Tensor

    def __init__(self, features: int, size: int, layers: int, heads: int) -> None:
        super().__init__()
        fixed = torch.Generator().manual_seed(0)
        self.register_buffer("hashed", torch.randn(2, HASHED, WIDTH, generator=fixed) / WIDTH**0.5, persistent=False)
        self.learnt = nn.Embedding(LEARNT, size)
        nn.init.normal_(self.learnt.weight, std=0.02)
        self.goal_word, self.own_word, self.other_word = (nn.Linear(2 * WIDTH, size) for _ in range(3))
        self.own_learnt, self.other_learnt = (nn.Linear(size, size, bias=False) for _ in range(2))
        self.seen = nn.Sequential(nn.Linear(MEETINGS + features, size), nn.GELU(), nn.Linear(size, size))
        self.whole = nn.Parameter(torch.zeros(size))
        self.layers = nn.ModuleList(_Layer(size, heads) for _ in range(layers))
        self.related = nn.Parameter(0.5 * torch.randn(RELATIONS, layers * heads))
        self.norm = nn.LayerNorm(size)
        self.point = nn.Sequential(nn.Linear(2 * size, size), nn.GELU(), nn.Linear(size, 1))
        self.value = ValueHead(size, (size,))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """
        Returns:
            ln pi [B, N], the least number there is where no phrase is; V [B].
        """
        count, length = batch.goal.shape
        goal = self.goal_word(self._fixed(batch.goal)) + self.learnt(batch.goal % LEARNT)
        own, other = (batch.words > 0) & batch.quoted, (batch.words > 0) & ~batch.quoted
        fixed, learnt = self._fixed(batch.words), self.learnt(batch.words % LEARNT)
        phrases = self.seen(batch.seen)
        for mask, word, taught in (
            (own, self.own_word, self.own_learnt), (other, self.other_word, self.other_learnt),
        ):  # fmt: skip
            phrases = phrases + word(_mean(fixed, mask)) + taught(_mean(learnt, mask))
        tokens = torch.cat([self.whole.expand(count, 1, -1), goal, phrases], dim=1)
        there = torch.cat([batch.goal.new_ones(count, 1, dtype=torch.bool), batch.goal > 0, batch.there], dim=1)
        relations = F.one_hot(_relations(batch, own, other), RELATIONS).to(tokens.dtype) @ self.related
        bias = relations.permute(0, 3, 1, 2).masked_fill(~there[:, None, None, :], float("-inf"))
        for layer, own_bias in zip(self.layers, bias.chunk(len(self.layers), dim=1), strict=True):
            tokens = layer(tokens, own_bias)
        tokens = self.norm(tokens)
        whole, phrases = tokens[:, 0], tokens[:, 1 + length :]
        scores = self.point(torch.cat([phrases, whole[:, None].expand_as(phrases)], dim=-1)).squeeze(-1)
        scores = scores.masked_fill(~batch.there, torch.finfo(scores.dtype).min)
        return scores.log_softmax(dim=-1), self.value(whole)

    def _fixed(self, words: Tensor) -> Tensor:
        """[..., 2 WIDTH], of words by their number."""
        hashed = self.get_buffer("hashed")
        first, second = hashed[0], hashed[1]
        return torch.cat([first[words % HASHED], second[words // HASHED % HASHED]], dim=-1)


class _Layer(nn.Module):
    """Attention with a bias for the relation of two tokens, then a feed-forward part, both normalised before."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(size), nn.LayerNorm(size)
        self.project, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.feed = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """tokens [B, T, D], bias [B, heads, T, T], -inf where nothing is -> [B, T, D]."""
        count, length, size = tokens.shape
        parts = self.project(self.before(tokens)).view(count, length, 3, self.heads, size // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(count, length, size))
        fed: Tensor = tokens + self.feed(self.between(tokens))
        return fed


NONE, OWN, OTHER, BOTH, BESIDE = range(5)
"""How a phrase and a word of the goal are related: not, by an equal quoted word, by another one, by both; `BESIDE` and
above it: two words of the goal, by how far the second stands behind the first."""
RELATIONS = BESIDE + 2 * REACH + 1


def _relations(batch: Batch, own: Tensor, other: Tensor) -> Tensor:
    """[B, T, T] of all tokens: the whole, the goal's words, the phrases."""
    count, length = batch.goal.shape
    spoken = batch.goal[:, None, None, :]
    equal = (batch.words[..., None] == spoken) & (spoken > 0)  # [B, N, W, G]
    by = (equal & own[..., None]).any(2).long() * OWN + (equal & other[..., None]).any(2).long() * OTHER
    total = 1 + length + by.shape[1]
    found = batch.goal.new_full((count, total, total), NONE)
    at = torch.arange(length, device=batch.goal.device)
    found[:, 1 : 1 + length, 1 : 1 + length] = (at - at[:, None]).clamp(-REACH, REACH) + REACH + BESIDE
    found[:, 1 + length :, 1 : 1 + length] = by
    found[:, 1 : 1 + length, 1 + length :] = by.transpose(1, 2)
    return found


def _mean(vectors: Tensor, mask: Tensor) -> Tensor:
    """[B, N, W, D] over the words in mask [B, N, W]: [B, N, D]; 0 over none."""
    weights = mask.to(vectors.dtype)
    return torch.einsum("bnwd,bnw->bnd", vectors, weights) / weights.sum(-1, keepdim=True).clamp(min=1)
