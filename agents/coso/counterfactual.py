"""Counterfactual weights B: how much each token of an utterance decides the action the parser takes from it.

In the order of CoSo (arXiv 2505.03792): nullify tokens, measure the loss of probability of the action taken, normalise.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Classifier = Callable[[Tensor, Tensor], Tensor]
"""ids [N, L] int64 and mask [N, L] bool -> logits [N, C] of the parsed action's class."""

PUNCTUATION = ("[]", "()", "{", "}", "{}", ":", '""', "'", ",", "!", "?", ";", "_", ".")
"""Strings whose tokens carry no causal weight in the released recipe."""

_BLOCK = 31 << 20
"""Bytes of a block whose freeing makes glibc keep up to twice as much. Else every chunk faults its memory in again, a
tenth of the time. glibc learns nothing from blocks above 32 MB; other allocators take no notice."""


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


@torch.no_grad()
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
    chunk_size: int = 32,
) -> Tensor:
    """B: the effect of every start position, |p0 - p_i| or p0 - p_i, normalised as the recipe says.

    p is the classifier's probability of the row's label. Only starts whose effect survives are computed, equal rows
    once, and rows without their padding, so that the result is that of the loop over all rows and positions at a
    fraction of its work. The chunk size and the number of threads alter nothing.

    Args:
        classify: in evaluation mode; called from several threads at once.
        ids: [B, L] int64, right-padded.
        mask: [B, L] bool, True on tokens.
        labels: [B] int64, the class of the action actually taken.
        zeroed: [Z] int64, ids that carry no weight as the original token (`zeroed_ids`).
        padding_counts: the classifier's answer depends on a row's padding (the released pooling), so keep it.
        chunk_size: rows in one call of the classifier.

    Returns:
        [B, L] float of the classifier's dtype; 0 at zeroed tokens and padding.

    Raises:
        ValueError: if there is no row.
    """
    within, width = mask, ids.shape[1]
    rows = [tuple(row) for row in torch.cat([labels[:, None], mask.long(), ids], dim=1).tolist()]
    distinct = {row: number for number, row in enumerate(dict.fromkeys(rows))}
    if not distinct:
        raise ValueError("a batch without rows has no effects; give at least one utterance")
    once = torch.tensor(list(distinct), device=ids.device)
    labels, mask, ids = once[:, 0], once[:, 1 : width + 1].bool(), once[:, width + 1 :]
    wanted = mask & ~torch.isin(ids, zeroed)
    lengths = torch.full_like(labels, width) if padding_counts else mask.sum(dim=1).clamp(min=1)

    chunks: list[tuple[Tensor, Tensor, Tensor]] = []  # rows, starts (the last: nothing nullified), what is classified
    for length in sorted(set(lengths.tolist())):
        group = torch.nonzero(lengths == length)[:, 0]
        member, start = torch.nonzero(wanted[group, :length], as_tuple=True)
        changed = nullified(ids[group[member], :length], start, recipe.window, unk_id)
        parts = (
            torch.cat([group, group[member]]),
            torch.cat([torch.full_like(group, width), start]),
            torch.cat([ids[group, :length], changed]),
        )
        chunks += zip(*(torch.split(part, chunk_size) for part in parts), strict=True)

    @torch.no_grad()
    def probability(chunk: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        row, _, given = chunk
        logits = classify(given, mask[row, : given.shape[1]])
        return logits.softmax(dim=1).gather(1, labels[row, None])[:, 0]

    found = _over_cores(probability, chunks, ids.device)
    table = found[0].new_zeros(len(ids), width + 1)
    for (row, start, _), probabilities in zip(chunks, found, strict=True):
        table[row, start] = probabilities
    effects = (table[:, -1:] - table[:, :-1]).masked_fill(~wanted, 0.0)[[distinct[row] for row in rows]]
    if not recipe.signed:
        effects.abs_()
    if recipe.norm == "none":
        return effects
    return minmax_sqrt(effects, None if padding_counts else within)


def _over_cores(work: Callable[[Any], Tensor], parts: Sequence[Any], device: torch.device) -> list[Tensor]:
    """`work` of every part; on a CPU one thread a core, steadier than cores that share every operation."""
    threads = torch.get_num_threads()
    workers = threads if device.type == "cpu" else 1
    torch.empty(_BLOCK, dtype=torch.uint8)
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work, parts))
    finally:
        torch.set_num_threads(threads)  # threads begun elsewhere start with the number set last
