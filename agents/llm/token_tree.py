"""Candidate continuations of one prompt as a tree of tokens: whatever they share is encoded once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A prompt of P tokens and M inner nodes below it, which are the prefixes that some candidate goes on from.

    Row 0 is the prompt's last token, row i the i-th node; from a row the next token is predicted, so R = M + 1 rows
    predict E edges.
    """

    prompt: tuple[int, ...]
    """[P] ids."""
    nodes: tuple[int, ...]
    """[M] ids."""
    parents: tuple[int, ...]
    """[M] row of the parent of each node; smaller than the node's own."""
    edges: tuple[tuple[int, int], ...]
    """[E] (row, id of the token predicted there)."""
    paths: tuple[tuple[int, ...], ...]
    """For each candidate its edges, in order."""
    stops: tuple[int | None, ...]
    """For each candidate the edge (its last row, end token) where another one goes on; None where none does."""

    @property
    def positions(self) -> Tensor:
        """[P + M] int64: a node stands one place after its parent, whatever else was laid out between."""
        places = list(range(len(self.prompt)))
        for parent in self.parents:
            places.append(places[len(self.prompt) - 1 + parent] + 1)
        return torch.tensor(places)

    @property
    def mask(self) -> Tensor:
        """[P + M, P + M] bool: what each token may attend to, its own line of ancestors."""
        start, size = len(self.prompt), len(self.prompt) + len(self.nodes)
        seen = torch.zeros(size, size, dtype=torch.bool)
        seen[:start, :start] = torch.ones(start, start).tril().bool()
        for node, parent in enumerate(self.parents, start=start):
            seen[node] = seen[start - 1 + parent]
            seen[node, node] = True
        return seen


def build(prompt: Sequence[int], candidates: Sequence[Sequence[int]], end: int) -> TokenTree:
    """The tree of the candidates' tokens.

    Args:
        prompt: P ids, at least one.
        candidates: their ids after the prompt, at least one each.
        end: id of the token that ends a candidate which is the beginning of another.
    """
    edges: dict[tuple[int, int], int] = {}
    rows: dict[tuple[int, ...], int] = {(): 0}
    nodes: list[int] = []
    parents: list[int] = []
    paths: list[tuple[int, ...]] = []
    for ids in map(tuple, candidates):
        path = []
        for length, token in enumerate(ids):
            prefix = ids[:length]
            if prefix not in rows:
                rows[prefix] = len(rows)
                nodes.append(prefix[-1])
                parents.append(rows[prefix[:-1]])
            path.append(edges.setdefault((rows[prefix], token), len(edges)))
        paths.append(tuple(path))
    stops = [edges.setdefault((rows[ids], end), len(edges)) if ids in rows else None for ids in map(tuple, candidates)]
    return TokenTree(tuple(prompt), tuple(nodes), tuple(parents), tuple(edges), tuple(paths), tuple(stops))
