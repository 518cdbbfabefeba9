"""The released recipe written again from its description: torch's own layers, one row and one position at a time."""

import math

import torch
from torch import nn


class ReleasedScm(nn.Module):
    """Sequence-first encoder layers under the released names."""

    def __init__(self, vocab: int, classes: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(vocab, width)
        self.position_embeddings = nn.Embedding(512, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)
        self.encoder_layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.1, activation="gelu") for _ in range(layers)
        )
        self.classifier = nn.Linear(width, classes)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        x = (
            self.embeddings(ids)
            + self.position_embeddings(positions)
            + self.token_type_embeddings(torch.zeros_like(ids))
        )
        x = self.LayerNorm(x).transpose(0, 1)
        for layer in self.encoder_layers:
            x = layer(x, src_key_padding_mask=~mask)
        return self.classifier(x.mean(dim=0))


def released_weights(scm: nn.Module, rows: list[list[int]], labels: list[int], pad: int, unk: int, zeroed: set[int]):
    """B as nested lists, padding included; window 4, absolute effect, zeroing, min-max, square root."""
    width = max(map(len, rows))
    result = []
    with torch.no_grad():
        for row, label in zip(rows, labels, strict=True):
            ids = row + [pad] * (width - len(row))
            mask = torch.tensor([[True] * len(row) + [False] * (width - len(row))])

            def probability(tokens: list[int], mask=mask, label=label) -> float:
                return float(torch.softmax(scm(torch.tensor([tokens]), mask), dim=-1)[0, label])

            p0 = probability(ids)
            effects = []
            for i, token in enumerate(ids):
                changed = list(ids)
                for k in range(4):
                    changed[min(i + k, width - 1)] = unk
                effects.append(0.0 if token in zeroed else abs(p0 - probability(changed)))
            low, high = min(effects), max(effects)
            result.append([math.sqrt((e - low) / (high - low + 1e-10)) for e in effects])
    return result
