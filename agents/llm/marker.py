"""Where in an utterance the action begins, and what that makes each token weigh in the sequence log-probability.

    log pi(y | s) = lambda sum_(thought) log pi(y_i | s, y_<i) + sum_(action) log pi(y_i | s, y_<i)

(RL4VLM, arXiv 2405.10292, eq. 3): long thoughts would otherwise drown the few tokens that act.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

MARKER = re.compile(r'"action"\s*:', re.IGNORECASE)
TAIL = 4
"""An utterance without the marker has this many action tokens: its last ones."""

Decode = Callable[[Sequence[int]], str]
"""Token ids -> text without special tokens."""


def action_starts(ids: Sequence[int], decode: Decode) -> list[int]:
    """For every `"action":` in the text, the index of the first token that carries a character of it.

    The marker is found in the decoded text, so any tokenizer will do: a token may begin before it, or hold all of it.
    """
    return [_carrier(ids, match.start(), decode) for match in MARKER.finditer(decode(ids))]


def _carrier(ids: Sequence[int], place: int, decode: Decode) -> int:
    """Index of the token that carries the character at `place`: the last whose predecessors end no later.

    Searched from the end, since the text of a prefix that ends inside a character can be longer than it will be.
    """
    return next(k for k in range(len(ids) - 1, -1, -1) if k == 0 or len(decode(ids[:k])) <= place)


def token_weights(
    ids: Sequence[int], decode: Decode, thought_coef: float, arithmetic: Literal["text", "released"] = "text"
) -> Tensor:
    """What each token's log-probability is multiplied by: lambda before the last marker, 1 from it on.

    Args:
        ids: n token ids, the end token included.
        thought_coef: lambda.
        arithmetic: `text` as above. `released` is what RL4VLM's code computes once its token ids match: tokens 0 and 1
            count for nothing; the marker is used only if it occurs twice or more, else the action is the last five
            tokens; an utterance of fewer than five has a constant for its log-probability, so all its weights are 0.

    Returns:
        [n] float32.
    """
    n = len(ids)
    starts = action_starts(ids, decode)
    if arithmetic == "text":
        weights = torch.ones(n)
        weights[: starts[-1] if starts else max(n - TAIL, 0)] = thought_coef
        return weights
    if len(starts) < 2 and n - 1 < TAIL:
        return torch.zeros(n)
    start = starts[-1] if len(starts) > 1 else n - 1 - TAIL
    selected = torch.zeros(n)  # the release's columns: k is token k + 1, the last one padding, where -1 points
    selected[1 : start - 1] = thought_coef
    selected[start - 1 :] = 1.0
    return torch.cat([torch.zeros(1), selected[:-1]])


def well_formed(text: str) -> bool:
    """Whether the text is the JSON that was asked for: an object with a field `action`."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and "action" in answer
