"""The structural causal model: a small classifier from an utterance's tokens to the action the parser takes from it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from agentlab_runner.runners.experiment import Trainer

_FUSED: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""oneDNN's linear layer with its activation inside: twice the default kernel's speed on CPUs that are not Intel's."""


class ScmNetwork(nn.Module):
    """Transformer encoder with the release's parameter names and layout, so that its weights load as they are.

    Sum of token, position and token-type embeddings -> LayerNorm -> dropout -> post-norm encoder layers -> mean over
    positions -> dropout -> classifier.

    Args:
        vocab_size, classes: sizes of the two ends.
        width, layers, heads: 128, 3 and 4 in the release; the feed-forward layers are 4 x `width` wide.
        pool: `mean` over the row's own tokens, so that padding changes nothing; `released_mean` over all positions.
        max_tokens: number of position embeddings; what is longer is cut.
    """

    def __init__(
        self,
        vocab_size: int,
        classes: int,
        *,
        width: int = 128,
        layers: int = 3,
        heads: int = 4,
        dropout: float = 0.1,
        pool: Literal["mean", "released_mean"] = "mean",
        max_tokens: int = 512,
    ) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(vocab_size, width)
        self.position_embeddings = nn.Embedding(max_tokens, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)
        self.encoder_layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True)
            for _ in range(layers)
        )
        self.classifier = nn.Linear(width, classes)
        self.heads = heads
        self.dropout = dropout
        self.pool = pool
        self.max_tokens = max_tokens

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids [N, L] int64 and mask [N, L] bool, True on tokens, L at most `max_tokens` -> logits [N, classes]."""
        places = torch.arange(ids.shape[1], device=ids.device)
        first: Any = self.encoder_layers[0].self_attn
        if self.training:
            x = self._drop(self._embed(ids, places))
            projected = self._linear(x, first.in_proj_weight, first.in_proj_bias)
        else:  # a token at its place is the same in every row, and counterfactuals differ in few: once for all rows
            keys, where = torch.unique(ids * self.max_tokens + places, return_inverse=True)
            x = self._embed(keys // self.max_tokens, keys % self.max_tokens)
            projected = self._linear(x, first.in_proj_weight, first.in_proj_bias)[where]
            x = x[where]
        attention = None if mask.all() else mask[:, None, None, :]
        for number, layer in enumerate(self.encoder_layers):
            x = self._encode(layer, x, attention, projected if number == 0 else None)
        if self.pool == "released_mean":
            pooled = x.mean(dim=1)
        else:
            pooled = (x * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        logits: Tensor = self.classifier(self._drop(pooled))
        return logits

    def _embed(self, ids: Tensor, places: Tensor) -> Tensor:
        embedded = self.embeddings(ids) + self.position_embeddings(places) + self.token_type_embeddings.weight[0]
        normed: Tensor = self.LayerNorm(embedded)
        return normed

    def _encode(self, layer: Any, x: Tensor, attention: Tensor | None, projected: Tensor | None) -> Tensor:
        """What `layer(x)` computes, without the module's per-call checks and copies; `projected`: its q, k, v."""
        n, length, width = x.shape
        own = layer.self_attn
        if projected is None:
            projected = self._linear(x, own.in_proj_weight, own.in_proj_bias)
        q, k, v = projected.view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attention, self.dropout if self.training else 0.0)
        mixed = mixed.transpose(1, 2).reshape(n, length, width)
        x = layer.norm1(self._drop(self._linear(mixed, own.out_proj.weight, own.out_proj.bias)).add_(x))
        hidden = self._linear(x, layer.linear1.weight, layer.linear1.bias, gelu=True)
        out = self._drop(self._linear(self._drop(hidden), layer.linear2.weight, layer.linear2.bias))
        encoded: Tensor = layer.norm2(out.add_(x))
        return encoded

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor, gelu: bool = False) -> Tensor:
        if _FUSED is not None and not torch.is_grad_enabled() and x.device.type == "cpu" and x.dtype == torch.float32:
            return _FUSED(x, weight, bias, "gelu" if gelu else "none", [], "none" if gelu else "")
        y = F.linear(x, weight, bias)
        return F.gelu(y) if gelu else y

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training else x


@dataclass(frozen=True, slots=True)
class Utterances:
    """Distinct utterances with the class of their action; `count` of each were drawn."""

    ids: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]
    count: tuple[int, ...]

    @classmethod
    def draw(
        cls, pool: Mapping[tuple[int, ...], int], said: Sequence[tuple[int, ...]], n: int, rng: np.random.Generator
    ) -> "Utterances":
        """`n` draws with replacement from what was `said`; those without a class in `pool` fall out."""
        drawn, counts = np.unique(rng.integers(len(said), size=n), return_counts=True)
        totals: dict[tuple[int, ...], int] = {}
        for index, count in zip(drawn.tolist(), counts.tolist(), strict=True):
            if said[index] in pool:
                totals[said[index]] = totals.get(said[index], 0) + count
        return cls(tuple(totals), tuple(pool[ids] for ids in totals), tuple(totals.values()))


def pad(rows: Sequence[Sequence[int]], fill: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Right-padded ids [N, L] int64 and mask [N, L] bool; rows longer than `width` are cut."""
    length = min(max(map(len, rows)), width)
    ids = torch.full((len(rows), length), fill)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, row in enumerate(rows):
        cut = torch.tensor(row[:length])
        ids[i, : len(cut)], mask[i, : len(cut)] = cut, True
    return ids.to(device), mask.to(device)


def train_round(
    scm: ScmNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Utterances,
    pad_id: int,
    trainer: "Trainer",
    *,
    batch_size: int,
    max_grad_norm: float,
) -> dict[str, float]:
    """One optimiser step on the mean cross-entropy to the parsed label over all draws.

    A draw that came n times is computed once and weighs n, which has the same expected loss as n copies.

    Returns:
        `loss` (nats) and `acc`, over the draws, with dropout as in training.
    """
    scm.train()
    total = sum(batch.count)
    summed = {"loss": 0.0, "acc": 0.0}

    def losses() -> Iterator[Tensor]:
        for part in _parts(batch, batch_size):
            loss, right = _weighed(scm, part, pad_id)
            summed["loss"] += loss.item() / total
            summed["acc"] += right / total
            yield loss / total

    trainer.step(optimizer, losses(), scm.parameters(), max_grad_norm)
    scm.eval()
    return summed


@torch.no_grad()
def check(scm: ScmNetwork, batch: Utterances, pad_id: int, batch_size: int) -> dict[str, float]:
    """`loss` and `acc` over the draws, without dropout."""
    scm.eval()
    total = sum(batch.count)
    results = [_weighed(scm, part, pad_id) for part in _parts(batch, batch_size)]
    return {"loss": sum(loss.item() for loss, _ in results) / total, "acc": sum(right for _, right in results) / total}


def _weighed(scm: ScmNetwork, batch: Utterances, pad_id: int) -> tuple[Tensor, float]:
    device = scm.classifier.weight.device
    ids, mask = pad(batch.ids, pad_id, scm.max_tokens, device)
    labels, count = torch.tensor(batch.labels, device=device), torch.tensor(batch.count, device=device)
    logits = scm(ids, mask)
    loss = (F.cross_entropy(logits, labels, reduction="none") * count).sum()
    return loss, float(((logits.argmax(dim=1) == labels) * count).sum())


def _parts(batch: Utterances, size: int) -> Iterator[Utterances]:
    """In order of length, so that a part has little padding."""
    order = sorted(range(len(batch.ids)), key=lambda i: len(batch.ids[i]))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield Utterances(
            tuple(batch.ids[i] for i in chosen),
            tuple(batch.labels[i] for i in chosen),
            tuple(batch.count[i] for i in chosen),
        )
