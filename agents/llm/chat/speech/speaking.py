"""A local model reads prompts, each shared beginning once, and goes on with them, all together.

What a row says does not depend on what else is in the batch, nor on what was read before: the last bits of its numbers
do, and a choice so close that they could decide it is made anew from the row computed alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from agentlab_runner.agents.llm.chat.speech.prefixes import PrefixTree, States, agreement
from agentlab_runner.agents.llm.chat.speech.reading import Prompt
from agentlab_runner.agents.llm.kv_cache import ReservedCache
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.token_tree import TokenTree

LEAST_SHARED = 16
"""Tokens that are worth a pass of their own."""
BATCH_MB = 1024
"""Keys and values of the rows that are computed together, in MiB."""
CLOSE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
"""Nats by which two ways to compute the same may differ, and a hundredfold; by the weights' type."""


@dataclass(eq=False)
class Row:
    """A prompt, and how it is to go on."""

    prompt: Prompt
    most: int
    """Tokens at which it is cut."""
    chance: Tensor | None
    """[most] float64 in [0, 1), what decides each token; None: the likeliest."""
    ended: Callable[[Sequence[int]], bool]
    """Whether it is at its end, given its tokens so far."""
    tokens: list[int] = field(default_factory=list)


class Speaker:
    """One model; `cache_mb` bounds what it keeps of what it has read."""

    def __init__(self, policy: LanguagePolicy, cache_mb: int) -> None:
        self.policy = policy
        self.model = policy.model
        self.base: Any = policy.model.get_base_model() if policy.has_adapters else policy.model
        self.config = self.base.config.get_text_config()
        self.close = CLOSE[next(self.base.parameters()).dtype]
        self.tree = PrefixTree(cache_mb) if ReservedCache(self.config, 1).whole else None

    def say(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Fill `tokens` of every row, until it has ended or is cut; those that are done, batch by batch."""
        if self.tree is not None and rows:
            self._share([row.prompt for row in rows])
        for batch in self._batches(rows):
            self._say(batch)
            yield batch

    @torch.inference_mode()
    def weigh(self, prompt: Prompt, tree: TokenTree) -> list[float]:
        """Ln P of each candidate of a tree whose prompt this is; one that another goes on from counts its end."""
        joint = self._weigh(prompt, tree, *self._found(prompt))
        best, *others = sorted(joint, reverse=True)
        if self.tree is not None and others and best - others[0] < self.close:
            joint = self._weigh(prompt, tree, 0, [])
        return joint

    # -- reading ------------------------------------------------------------------------------------------------------

    def _found(self, prompt: Prompt) -> tuple[int, list[States]]:
        """How much of a prompt was read before, its last token left aside, and its states."""
        return (0, []) if self.tree is None else self.tree.find(prompt.keys[:-1])

    @torch.inference_mode()
    def _share(self, prompts: Sequence[Prompt]) -> None:
        """Read what several begin with, once and alone."""
        assert self.tree is not None
        ordered = sorted(prompts, key=lambda prompt: prompt.keys)
        shared = {
            first.keys[:length]: first
            for first, second in pairwise(ordered)
            if (length := agreement(first.keys[:-1], second.keys[:-1])) >= LEAST_SHARED
        }
        for keys, prompt in sorted(shared.items(), key=lambda entry: len(entry[0])):
            start, pieces = self.tree.find(keys)
            if len(keys) - start >= LEAST_SHARED:
                cache = self._cache([(start, pieces)], len(keys))
                mask = torch.ones(1, len(keys), dtype=torch.bool, device=self.policy.device)
                new = prompt.part(start, len(keys))
                self._logits({"inputs_embeds": new.embeds[None]}, mask, new.positions[..., None, :], cache)
                self.tree.add(keys, start, _taken(cache, 0, start, len(keys)))

    def _cache(self, found: Sequence[tuple[int, list[States]]], length: int) -> ReservedCache:
        """Room for `length` tokens a row, what was found of each row put in, on the right of the longest one's."""
        cache, start = ReservedCache(self.config, length), max(known for known, _ in found)
        if not start:
            return cache
        some = next(pieces[0] for _, pieces in found if pieces)
        for index, layer in enumerate(some):
            both = layer.new_zeros(2, len(found), layer.shape[1], start, layer.shape[3])
            for row, (known, pieces) in enumerate(found):
                place = start - known
                for states in pieces:
                    size = states[index].shape[2]
                    both[:, row, :, place : place + size] = states[index][:, :, : start - place]
                    place += size
            cache.update(both[0], both[1], index)
        return cache

    def _batches(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Rows of like length together, as many as memory should hold at once."""
        width = self.config.hidden_size * self.config.num_hidden_layers * 2 * 4
        batches: list[list[Row]] = []
        for row in sorted(rows, key=lambda row: len(row.prompt.ids)):
            longest = (len(row.prompt.ids) + row.most) * width
            if not batches or (len(batches[-1]) + 1) * longest > BATCH_MB * 2**20:
                batches.append([])
            batches[-1].append(row)
        return batches

    # -- saying -------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def _say(self, rows: list[Row]) -> None:
        found = [self._found(row.prompt) for row in rows]
        start = max(known for known, _ in found)
        longest = max(len(row.prompt.ids) - known for row, (known, _) in zip(rows, found, strict=True))
        most, read = max(row.most for row in rows), start + longest
        mask, embeds, positions = self._laid_out(rows, [known for known, _ in found], start, longest, read + most)
        cache = self._cache(found, read + most)
        inputs: dict[str, Tensor] = {"inputs_embeds": embeds}
        live, left = list(zip(rows, found, strict=True)), list(range(len(rows)))
        for step in range(most):
            logits = self._logits(inputs, mask[:, : read + step], positions, cache)
            for place in left:
                live[place][0].tokens.append(self._pick(live[place][0], logits[place]))
            going = [place for place in left if not self._over(live[place][0])]
            for place in left:
                if place not in going:
                    self._keep(*live[place], cache, place, read)
            left = going
            if not left:
                break
            if 2 * len(left) <= len(live):  # the others would be computed for nothing
                chosen = torch.tensor(left, device=self.policy.device)
                cache.select(chosen)
                mask, positions = mask[chosen], positions[..., chosen, :]
                live, left = [live[place] for place in left], list(range(len(left)))
            tokens = torch.tensor([[row.tokens[-1]] for row, _ in live], device=self.policy.device)
            inputs, positions = {"input_ids": tokens}, positions[..., -1:] + 1

    def _over(self, row: Row) -> bool:
        return len(row.tokens) >= row.most or row.tokens[-1] in self.policy.eos_ids or row.ended(row.tokens)

    def _laid_out(
        self, rows: Sequence[Row], known: Sequence[int], start: int, longest: int, length: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mask [B, length], embeddings [B, longest, D] and positions [B, longest] of what is still to be read.

        A row's columns are: nothing, what is known up to `start`, nothing, what is to be read, what will be said.
        """
        first = rows[0].prompt
        mask = torch.ones(len(rows), length, dtype=torch.bool, device=self.policy.device)
        embeds = first.embeds.new_zeros(len(rows), longest, first.embeds.shape[1])
        positions = first.positions.new_zeros(*first.positions.shape[:-1], len(rows), longest)
        for place, (row, before) in enumerate(zip(rows, known, strict=True)):
            own = len(row.prompt.ids) - before
            mask[place, : start - before] = False
            mask[place, start : start + longest - own] = False
            embeds[place, longest - own :] = row.prompt.embeds[before:]
            positions[..., place, longest - own :] = row.prompt.positions[..., before:]
        return mask, embeds, positions

    def _keep(self, row: Row, found: tuple[int, list[States]], cache: ReservedCache, place: int, read: int) -> None:
        """Keep what was read and said in a row, but for its last token, which nothing has read yet."""
        if self.tree is not None:
            known, keys = found[0], (*row.prompt.keys, *row.tokens[:-1])
            end = read + len(row.tokens) - 1
            self.tree.add(keys, known, _taken(cache, place, end - (len(keys) - known), end))

    def _pick(self, row: Row, logits: Tensor) -> int:
        token, close = _picked(row, logits, self.close)
        if close:
            token, _ = _picked(row, self._alone(row), self.close)
        return token

    def _alone(self, row: Row) -> Tensor:
        """[V] logits of a row's next token, all of it read at once and nothing beside it."""
        said = torch.tensor([row.tokens], device=self.policy.device, dtype=torch.long)
        embeds = torch.cat([row.prompt.embeds[None], self.base.get_input_embeddings()(said)], dim=1)
        steps = torch.arange(1, said.shape[1] + 1, device=self.policy.device)
        places = row.prompt.positions[..., None, :]
        places = torch.cat([places, places[..., -1:] + steps], dim=-1)
        mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=self.policy.device)
        return self._logits({"inputs_embeds": embeds}, mask, places, None)[0]

    def _logits(
        self, inputs: dict[str, Tensor], mask: Tensor, positions: Tensor, cache: ReservedCache | None
    ) -> Tensor:
        """[B, V] float32, of the last token of every row, at the policy's temperature."""
        output = self.model(
            **inputs,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1].float() / self.policy.temperature
        return logits

    # -- weighing -----------------------------------------------------------------------------------------------------

    def _weigh(self, prompt: Prompt, tree: TokenTree, known: int, pieces: list[States]) -> list[float]:
        device, size, nodes = self.policy.device, len(tree.prompt), len(tree.nodes)
        said = torch.tensor([tree.nodes], device=device, dtype=torch.long)
        embeds = torch.cat([prompt.embeds[None, known:size], self.base.get_input_embeddings()(said)], dim=1)
        depth = (tree.positions[size:] - (size - 1)).to(device)
        places = prompt.positions[..., None, :size]
        places = torch.cat([places[..., known:], places[..., -1:] + depth], dim=-1)
        hidden = ~tree.mask[known:]
        bias = torch.zeros(hidden.shape, dtype=embeds.dtype).masked_fill(hidden, torch.finfo(embeds.dtype).min)
        cache = self._cache([(known, pieces)], size + nodes) if self.tree is not None else None
        output = self.model(
            inputs_embeds=embeds,
            attention_mask=bias[None, None].to(device),
            position_ids=places,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=1 + nodes,
        )
        scores = torch.log_softmax(output.logits[0].float() / self.policy.temperature, dim=-1)
        edges = [float(scores[row, token]) for row, token in tree.edges]
        if self.tree is not None and cache is not None:
            self.tree.add(prompt.keys[:size], known, _taken(cache, 0, known, size))
        return [
            sum(edges[edge] for edge in path) + (edges[stop] if stop is not None else 0.0)
            for path, stop in zip(tree.paths, tree.stops, strict=True)
        ]


def _picked(row: Row, logits: Tensor, close: float) -> tuple[int, bool]:
    """The next token, and whether another one is so close that the last bits of the logits could decide."""
    scores = torch.log_softmax(logits, dim=-1)
    if row.chance is None:
        (best, second), ids = scores.topk(2)
        return int(ids[0]), bool(best - second < close)
    passed = scores.double().exp().cumsum(-1)
    point = row.chance[len(row.tokens)].to(passed.device) * passed[-1]
    token = int(torch.searchsorted(passed, point, right=True).clamp(max=len(passed) - 1))
    low = passed[token - 1] if token else passed.new_zeros(())
    return token, bool(torch.minimum(point - low, passed[token] - point) < close / 10)


def _taken(cache: ReservedCache, row: int, start: int, end: int) -> States:
    """What a cache holds of a row's columns."""
    return tuple(
        torch.stack([layer.keys[row, :, start:end], layer.values[row, :, start:end]]) for layer in cache.layers
    )
