"""Counterfactual weights B: how much each token of an utterance decides the action the parser takes from it.

In the order of CoSo (arXiv 2505.03792): nullify tokens, measure the loss of probability of the action taken, normalise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Classifier = Callable[[Tensor, Tensor], Tensor]
"""ids [N, L] int64 and mask [N, L] bool -> logits [N, C] of the parsed action's class."""

PUNCTUATION = ("[]", "()", "{", "}", "{}", ":", '""', "'", ",", "!", "?", ";", "_", ".")
"""Strings whose tokens carry no causal weight in the released recipe."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How effects are measured and turned into weights."""

    window: int = 4
    """Tokens nullified together, beginning at the one that is weighed."""
    signed: bool = False
    """Keep p0 - p_i as it is (the paper) instead of its absolute value (the release)."""
    norm: Literal["minmax_sqrt", "none"] = "minmax_sqrt"
    zero_punctuation: bool = True


RELEASED = Recipe()
PAPER = Recipe(window=1, signed=True, norm="none", zero_punctuation=False)


def zeroed_ids(tokenizer: Any, punctuation: bool = True) -> Tensor:
    """[Z] int64: the special tokens and, if asked, every token in the encoding of a string of `PUNCTUATION`.

    The whole encoding is taken, so a sentencepiece word-start marker can be among them, as in the release.
    """
    ids = set(tokenizer.all_special_ids)
    if punctuation:
        for text in PUNCTUATION:
            ids.update(tokenizer.encode(text, add_special_tokens=False))
    return torch.tensor(sorted(ids), dtype=torch.int64)


def nullified(ids: Tensor, starts: Tensor, window: int, unk_id: int) -> Tensor:
    """Copies of rows with `window` tokens from each start on replaced by UNK, positions clamped to the last.

    Args:
        ids: [N, L] int64.
        starts: [N] int64 in [0, L).

    Returns:
        [N, L] int64.
    """
    positions = (starts[:, None] + torch.arange(window, device=ids.device)).clamp(max=ids.shape[1] - 1)
    return ids.scatter(1, positions, unk_id)


@torch.no_grad()
def causal_effects(
    classify: Classifier,
    ids: Tensor,
    mask: Tensor,
    labels: Tensor,
    *,
    zeroed: Tensor,
    unk_id: int,
    recipe: Recipe = RELEASED,
    padding_counts: bool = False,
    chunk_size: int = 64,
) -> Tensor:
    """Effect of every start position: |p0 - p_i| or p0 - p_i, p the classifier's probability of the row's label.

    Only starts whose effect survives are computed, equal rows once, and rows without their padding, so that the result
    is that of the loop over all rows and positions at a fraction of its work. The chunk size alters nothing.

    Args:
        classify: in evaluation mode.
        ids: [B, L] int64, right-padded.
        mask: [B, L] bool, True on tokens.
        labels: [B] int64, the class of the action actually taken.
        zeroed: [Z] int64, ids that carry no weight as the original token (`zeroed_ids`).
        padding_counts: the classifier's answer depends on a row's padding (the released pooling), so keep it.

    Returns:
        [B, L] float of the classifier's dtype; 0 at zeroed tokens and padding.

    Raises:
        ValueError: if there is no row.
    """
    device, width = ids.device, ids.shape[1]
    rows = [tuple(row) for row in torch.cat([labels[:, None], mask.long(), ids], dim=1).tolist()]
    distinct = {row: number for number, row in enumerate(dict.fromkeys(rows))}
    if not distinct:
        raise ValueError("a batch without rows has no effects; give at least one utterance")
    table = torch.tensor(list(distinct), device=device)
    labels, mask, ids = table[:, 0], table[:, 1 : width + 1].bool(), table[:, width + 1 :]
    wanted = mask & ~torch.isin(ids, zeroed)
    lengths = torch.full_like(labels, width) if padding_counts else mask.sum(dim=1).clamp(min=1)

    effects = torch.zeros(0)
    for length in sorted(set(lengths.tolist())):
        group = torch.nonzero(lengths == length).flatten()

        def probability(row: Tensor, given: Tensor, length: int = length) -> Tensor:
            logits = classify(given, mask[row, :length])
            return logits.softmax(dim=1).gather(1, labels[row, None])[:, 0]

        factual = torch.cat([probability(row, ids[row, :length]) for row in torch.split(group, chunk_size)])
        if not len(effects):
            effects = factual.new_zeros(ids.shape)
        member, start = torch.nonzero(wanted[group, :length], as_tuple=True)
        if not len(member):
            continue
        for m, s in zip(torch.split(member, chunk_size), torch.split(start, chunk_size), strict=True):
            row = group[m]
            effect = factual[m] - probability(row, nullified(ids[row, :length], s, recipe.window, unk_id))
            effects[row, s] = effect if recipe.signed else effect.abs()
    return effects[[distinct[row] for row in rows]]


def minmax_sqrt(effects: Tensor, within: Tensor | None = None) -> Tensor:
    """B_i = sqrt((e_i - min) / (max - min + 1e-10)), row by row (the released normalisation).

    Args:
        effects: [B, L] float.
        within: [B, L] bool, positions that count; None takes all, padding included, as the release does. The two agree
            on every row that has a zeroed token, and EOS is one.

    Returns:
        [B, L] float in [0, 1]; all 0 where a row's effects are equal, and outside `within`.
    """
    if within is None:
        within = torch.ones_like(effects, dtype=torch.bool)
    low = effects.masked_fill(~within, torch.inf).amin(dim=1, keepdim=True)
    high = effects.masked_fill(~within, -torch.inf).amax(dim=1, keepdim=True)
    scaled = ((effects - low) / (high - low + 1e-10)).clamp(min=0)
    return scaled.sqrt().masked_fill(~within, 0.0)


def counterfactual_weights(
    classify: Classifier,
    ids: Tensor,
    mask: Tensor,
    labels: Tensor,
    *,
    zeroed: Tensor,
    unk_id: int,
    recipe: Recipe = RELEASED,
    padding_counts: bool = False,
    chunk_size: int = 64,
) -> Tensor:
    """B [B, L]: effects by `causal_effects`, normalised as the recipe says; arguments as there."""
    effects = causal_effects(
        classify,
        ids,
        mask,
        labels,
        zeroed=zeroed,
        unk_id=unk_id,
        recipe=recipe,
        padding_counts=padding_counts,
        chunk_size=chunk_size,
    )
    if recipe.norm == "none":
        return effects
    return minmax_sqrt(effects, None if padding_counts else mask)
