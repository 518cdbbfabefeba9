"""Exact counterfactuals: ask the parser itself what it makes of the nullified text (CoSo's B_i without an SCM).

Nothing to train, no error of a classifier, and coordinates and typed text get the weight they have.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Parse = Callable[[Sequence[int]], Any | None]
"""Token ids -> action, None if unparsable."""
Same = Callable[[Any, Any], bool]
"""Are two actions equal in effect?"""


def hard_weights(ids: Sequence[int], parse: Parse, same: Same) -> Tensor:
    """B_i = 1[f_parse(y) != f_parse(y without token i)].

    Returns:
        [T] float32 of 0 and 1; all 0 if the utterance does not parse. A text that no longer parses is another action.
    """
    taken = parse(ids)
    if taken is None:
        return torch.zeros(len(ids))
    return torch.tensor([float(not _is(taken, parse((*ids[:i], *ids[i + 1 :])), same)) for i in range(len(ids))])


def soft_weights(ids: Sequence[int], logits: Tensor, top_k: int, parse: Parse, same: Same) -> Tensor:
    """B_i = 1 - sum_v pi(v | y_<i) 1[f_parse(y with y_i := v) = f_parse(y)] over the policy's `top_k` likeliest tokens.

    Args:
        ids: T token ids.
        logits: [T, V] float, the policy's next-token logits at each of them; pi is renormalised over the top k.

    Returns:
        [T] float32 in [0, 1]; all 0 if the utterance does not parse.
    """
    taken = parse(ids)
    if taken is None:
        return torch.zeros(len(ids))
    best, tokens = logits.detach().float().topk(min(top_k, logits.shape[-1]), dim=-1)
    probabilities, choices = best.softmax(dim=-1).tolist(), tokens.tolist()
    weights = []
    for i, own in enumerate(ids):
        kept = sum(
            p
            for p, v in zip(probabilities[i], choices[i], strict=True)
            if v == own or _is(taken, parse((*ids[:i], v, *ids[i + 1 :])), same)
        )
        weights.append(min(max(1.0 - kept, 0.0), 1.0))
    return torch.tensor(weights)


def _is(taken: Any, other: Any | None, same: Same) -> bool:
    return other is not None and same(taken, other)
