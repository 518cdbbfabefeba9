"""From utterances to their causal weights: trains the SCM, measures B once an utterance, makes the controls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from agentlab_runner.agents.coso.counterfactual import PAPER, RELEASED, Recipe, counterfactual_weights, zeroed_ids
from agentlab_runner.agents.coso.entropy import mass_matched, permuted, random_weights
from agentlab_runner.agents.coso.exact import hard_weights, soft_weights
from agentlab_runner.agents.coso.scm import ScmNetwork, Utterances, check, pad, train_round
from agentlab_runner.agents.coso.settings import EntropySettings, ScmSettings
from agentlab_runner.agents.rl.streams import generator_state, next_seed, restore_generator
from agentlab_runner.runners.processes.rng import forked

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Parser, Trainer

Ids = tuple[int, ...]
MOST_LABELS = 1 << 14
"""Utterances whose class is remembered beyond those that the last `update` was given."""


class CausalWeights:
    """B for the policy's utterances, whatever `entropy` and `scm.mode` ask for.

    The SCM reads the generated tokens themselves, so that B_i and H_i speak of the same token. Its draws, dropout and
    initial weights come from a random stream of its own.

    Args:
        parser: `labels`, `parse`, `label` and `same`.
    """

    def __init__(self, policy: "LanguagePolicy", parser: "Parser", settings: EntropySettings) -> None:
        self.policy = policy
        self.parser = parser
        self.settings: ScmSettings = settings.scm
        self.mode = "uniform" if settings.entropy == "uniform" else settings.scm.mode
        self.mass_matched = settings.mass_matched
        measures = settings.scm.mode in ("released", "paper", "exact")
        reference = settings.scm.mode if measures else settings.scm.reference
        self.measure = reference if self.mass_matched or self.mode not in ("uniform", "random") else "none"
        """How B is measured on the utterances: released | paper | exact, or none if no measurement is wanted."""
        if settings.entropy == "none":
            self.measure = "none"
        self.recipe = _recipe(settings.scm, PAPER if self.measure == "paper" else RELEASED)
        tokenizer = policy.tokenizer
        self.pad_id = int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
        stand_ins = (tokenizer.unk_token_id, tokenizer.mask_token_id, self.pad_id)
        self.unk_id = int(next(i for i in stand_ins if i is not None))
        self.zeroed = zeroed_ids(tokenizer, self.recipe.zero_punctuation)
        self.scm: ScmNetwork | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.rounds_done = 0
        self._rng = np.random.default_rng([settings.seed, 1])
        self._labels: dict[Ids, int | None] = {}
        self._weights: dict[Ids, Tensor] = {}

    @property
    def cacheable(self) -> bool:
        """Whether B of an utterance is the same for the whole iteration, so that all can be measured at once."""
        return self.measure in ("released", "paper") or (self.measure == "exact" and self.settings.exact == "hard")

    # -- learning the SCM ---------------------------------------------------------------------------------------------

    def update(self, said: Sequence[Ids], held_out: Sequence[Ids], trainer: "Trainer") -> dict[str, float]:
        """Train the SCM on what was `said`; the first call, whenever it comes, is the pretraining.

        Args:
            said: every utterance to learn from, repeats included.
            held_out: others, to measure its accuracy on.

        Returns:
            `causal/loss`, `causal/acc` of the last round and their `val_` versions; empty if no SCM is needed, or
            nothing that was said parses.
        """
        distinct = dict.fromkeys((*said, *held_out))
        self._labels = {ids: self.label(ids) for ids in distinct}
        lasting = self.measure == "exact"  # the parser does not change, a classifier does
        self._weights = {ids: self._weights[ids] for ids in distinct if lasting and ids in self._weights}
        if self.measure not in ("released", "paper"):
            return {}
        pool = {ids: label for ids, label in self._labels.items() if label is not None}
        if not any(ids in pool for ids in said):
            return {}
        settings = self.settings
        last: dict[str, float] = {}
        with forked(next_seed(self._rng)):
            scm, optimizer = self._network(trainer)
            for _ in range(settings.rounds if self.rounds_done else settings.pretrain_rounds):
                drawn = Utterances.draw(pool, said, settings.draws, self._rng)
                if not drawn.ids:
                    continue
                last = train_round(
                    scm,
                    optimizer,
                    drawn,
                    self.pad_id,
                    trainer,
                    batch_size=settings.batch_size,
                    max_grad_norm=settings.max_grad_norm,
                )
                self.rounds_done += 1
        metrics = {f"causal/{name}": value for name, value in last.items()}
        if any(ids in pool for ids in held_out):
            validation = Utterances.draw(pool, held_out, settings.validation_draws, self._rng)
            if validation.ids:
                found = check(scm, validation, self.pad_id, settings.batch_size)
                metrics |= {f"causal/val_{name}": value for name, value in found.items()}
        return metrics

    def label(self, ids: Ids) -> int | None:
        """Class of the action the parser takes from an utterance; None if it takes none."""
        if ids not in self._labels:
            if len(self._labels) >= MOST_LABELS:
                del self._labels[next(iter(self._labels))]  # where nothing is measured `update` drops none
            action = self._parse(ids)
            self._labels[ids] = None if action is None else self.parser.label(action)
        return self._labels[ids]

    def _parse(self, ids: Sequence[int]) -> Any | None:
        return self.parser.parse(self.policy.decode(ids))

    def _network(self, trainer: "Trainer") -> tuple[ScmNetwork, torch.optim.Optimizer]:
        if self.scm is None or self.optimizer is None:
            s = self.settings
            scm = ScmNetwork(
                len(self.policy.tokenizer),
                len(self.parser.labels),
                width=s.width,
                layers=s.layers,
                heads=s.heads,
                dropout=s.dropout,
                pool=s.pool,
            )
            trainer.prepare(scm)
            self.scm = scm.eval()
            self.optimizer = torch.optim.Adam(scm.parameters(), lr=s.lr)
        return self.scm, self.optimizer

    # -- weighing -----------------------------------------------------------------------------------------------------

    def measured(self, utterances: Iterable[Ids]) -> dict[Ids, Tensor]:
        """B [T] of each distinct utterance by the recipe, 0 if it does not parse; measured once an update."""
        wanted = list(dict.fromkeys(utterances))
        missing = [ids for ids in wanted if ids not in self._weights]
        if self.measure == "exact":
            self._weights |= {ids: hard_weights(ids, self._parse, self.parser.same) for ids in missing}
        else:
            self._weights |= {ids: torch.zeros(len(ids)) for ids in missing}
            valid = [ids for ids in missing if self.label(ids) is not None]
            if valid and self.scm is not None:
                self._weights |= zip(valid, self._by_scm(self.scm, valid), strict=True)
        return {ids: self._weights[ids] for ids in wanted}

    def _by_scm(self, scm: ScmNetwork, utterances: Sequence[Ids]) -> list[Tensor]:
        device = scm.classifier.weight.device
        padded, mask = pad(utterances, self.pad_id, scm.max_tokens, device)
        weights = counterfactual_weights(
            scm,
            padded,
            mask,
            torch.tensor([self.label(ids) for ids in utterances], device=device),
            zeroed=self.zeroed.to(device),
            unk_id=self.unk_id,
            recipe=self.recipe,
            padding_counts=self.settings.pool == "released_mean",
            chunk_size=self.settings.chunk_size,
        ).cpu()
        rows = [torch.zeros(len(ids)) for ids in utterances]
        for row, measured in zip(rows, weights, strict=True):
            cut = min(len(row), len(measured))
            row[:cut] = measured[:cut]
        return rows

    def batch(self, utterances: Sequence[Ids], logits: Tensor, mask: Tensor) -> Tensor:
        """The weights that enter the loss.

        Args:
            utterances: N of them.
            logits: [N, T, V] of the policy; only soft exact counterfactuals look at them.
            mask: [N, T] bool.

        Returns:
            [N, T] float32 on the device of `logits`, without gradient.
        """
        device = logits.device
        if self.measure == "none":
            measured = torch.zeros(mask.shape)
        elif self.measure == "exact" and self.settings.exact == "soft":
            measured = _stack(
                [
                    soft_weights(ids, row[: len(ids)], self.settings.top_k, self._parse, self.parser.same)
                    for ids, row in zip(utterances, logits, strict=True)
                ],
                mask.shape[1],
            )
        else:
            known = self.measured(utterances)
            measured = _stack([known[ids] for ids in utterances], mask.shape[1])
        tokens = mask.cpu()
        if self.mode == "uniform":
            weights = tokens.float()
        elif self.mode == "random":
            weights = random_weights(tokens, self._rng)
        elif self.mode == "permuted":
            weights = permuted(measured, tokens, self._rng)
        else:
            weights = measured
        if self.mass_matched:
            weights = mass_matched(weights, measured, tokens)
        return weights.to(device)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self._rng),
            "rounds_done": self.rounds_done,
            "scm": None if self.scm is None else self.scm.state_dict(),
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any], trainer: "Trainer") -> None:
        restore_generator(self._rng, state["rng"])
        self.rounds_done = state["rounds_done"]
        self._weights.clear()
        if state["scm"] is not None:
            with forked(0):
                scm, optimizer = self._network(trainer)
            scm.load_state_dict(state["scm"])
            optimizer.load_state_dict(state["optimizer"])


def _recipe(settings: ScmSettings, base: Recipe) -> Recipe:
    given = {name: getattr(settings, name) for name in ("window", "signed", "norm", "zero_punctuation")}
    return replace(base, **{k: v for k, v in given.items() if v is not None})


def _stack(rows: Sequence[Tensor], width: int) -> Tensor:
    """[N, width] float32, right-padded with 0."""
    stacked = torch.zeros(len(rows), width)
    for target, row in zip(stacked, rows, strict=True):
        target[: len(row)] = row
    return stacked
