"""Score given continuations of a prompt exactly, each shared token once: a policy over phrases instead of free text."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.prompts import PROMPTS_KEPT, TensorCache
from agentlab_runner.agents.llm.token_tree import TokenTree, build
from agentlab_runner.agents.llm.weights.layers import layer_stack
from agentlab_runner.runners.errors import UserError

log = logging.getLogger(__name__)

Normalisation = Literal["sum", "token", "word"]


@dataclass(frozen=True, slots=True)
class Question:
    """An unfinished text and the phrases that may finish it."""

    prompt: str
    candidates: tuple[str, ...]

    def check(self) -> None:
        """Refuse what no policy can be made of.

        Raises:
            UserError: if there is no candidate, or an empty one, or two equal ones.
        """
        if not self.candidates:
            raise UserError(f"no action is admissible after {self.prompt!r}; the environment must offer at least one")
        if not all(phrase.strip() for phrase in self.candidates):
            raise UserError(f"an action phrase is empty among {self.candidates}; give each action a text")
        if len(set(self.candidates)) < len(self.candidates):
            twice = sorted({phrase for phrase in self.candidates if self.candidates.count(phrase) > 1})
            raise UserError(f"the action phrases {twice} stand twice in one state; give each action its own text")


@dataclass(frozen=True, slots=True)
class CandidateScores:
    """What the model thinks of the continuations of one prompt."""

    tree: TokenTree
    logprobs: Tensor
    """[E] float32, ln P(token | prompt and the candidate so far) of each edge, over the whole vocabulary."""

    def joint(self) -> Tensor:
        """[n] float32, ln P(candidate | prompt)."""
        return torch.stack([self.logprobs[list(path)].sum() for path in self.tree.paths])


def log_policy(joint: Tensor, tokens: Sequence[int], words: Sequence[int], mode: Normalisation) -> Tensor:
    """ln pi(a_k | s), pi the softmax of the joint log-probabilities divided by length (TWOSOME, arXiv 2401.14151).

    Args:
        joint: [n] float, ln P(a_k | s).
        tokens: N_k, how many tokens each candidate has.
        words: W_k, how many words.
        mode: `sum`: joint; `token`: joint / N_k; `word`: joint / W_k.

    Returns:
        [n], of joint's type.

    Raises:
        UserError: for an unknown mode.
    """
    lengths = {"sum": [1] * len(joint), "token": tokens, "word": words}
    if mode not in lengths:
        raise UserError(f"unknown normalisation {mode!r}; choose sum, token or word")
    return torch.log_softmax(joint / torch.tensor(lengths[mode], dtype=joint.dtype, device=joint.device), dim=0)


class CandidateScorer:
    """Scores questions with a causal language model.

    A question becomes one row [prompt | inner nodes of its token tree] with an attention mask of its own, so that one
    forward pass gives what encoding the prompt anew with each candidate would. Equal questions are computed once. What
    the adapters cannot change is computed once a question and kept: the hidden states that enter the first adapted
    layer, and the features for critics. Dropout is off. No question's numbers depend on what it is asked with; with
    one question a forward pass not even their last bits do.

    Args:
        policy: a causal language model, with adapters or without.
        cache_mb: bound of what is kept, in MiB; the least recently used goes first.
        micro_batch: distinct questions in one forward pass.

    Raises:
        UserError: if the model wants images, or its attention takes no mask of ours.
    """

    def __init__(self, policy: LanguagePolicy, *, cache_mb: int = 512, micro_batch: int = 1) -> None:
        if policy.prompts.sees:
            raise UserError("actions are scored by a model that reads text alone; use model=smollm2 or a causal model")
        self.policy = policy
        self.model: Any = policy.model.get_base_model() if policy.has_adapters else policy.model
        attention = self.model.config._attn_implementation
        if attention not in ("sdpa", "eager"):
            raise UserError(f"{attention} attention takes no tree mask; load the model with sdpa or eager attention")
        self.micro_batch = micro_batch
        self._trees: dict[Question, TokenTree] = {}
        self._frozen = TensorCache(cache_mb)
        owner, name = layer_stack(self.model)
        self._layers = list(getattr(owner, name))
        adapted = (any("lora_" in n for n, _ in layer.named_parameters()) for layer in self._layers)
        first = next((index for index, has in enumerate(adapted) if has), 0)
        self._first = first if all("lora_" in n for n, p in self.model.named_parameters() if p.requires_grad) else 0
        """The layers below this one never change."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        self._context = int(limit) if limit else None

    def tree(self, question: Question) -> TokenTree:
        """The question's tokens.

        Raises:
            UserError: if it has no answer, an empty or a repeated one, or does not fit the model's context.
        """
        if question not in self._trees:
            question.check()
            if len(self._trees) == PROMPTS_KEPT:
                self._trees.clear()
            self._trees[question] = self._build(question)
        return self._trees[question]

    def score(self, questions: Sequence[Question]) -> list[CandidateScores]:
        """Token log-probabilities of every candidate, differentiable unless grad is off; in the order asked."""
        if self.policy.training:  # walking through all modules costs a twentieth of a pass
            self.policy.eval()
        distinct = list(dict.fromkeys(questions))
        found: dict[Question, CandidateScores] = {}
        for start in range(0, len(distinct), self.micro_batch):
            part = distinct[start : start + self.micro_batch]
            found |= zip(part, self._score(part), strict=True)
        return [found[question] for question in questions]

    def features(self, questions: Sequence[Question]) -> list[Tensor]:
        """What critics may see: [R, D] float32, last hidden states at the rows of each tree, adapters off, no gradient.

        Row 0 is the prompt's last token and knows nothing of the candidates.
        """
        return [self._freeze(question)[1] for question in questions]

    def _build(self, question: Question) -> TokenTree:
        prompts = self.policy.prompts
        prompt = prompts.prompt(question.prompt)
        joint = " " if prompts.prompt_format == "raw" else ""
        alone = prompts.text_ids(prompt)
        whole = [prompts.text_ids(f"{prompt}{joint}{phrase}") for phrase in question.candidates]
        shared = min(_agreement(alone, ids) for ids in whole)
        if shared < len(alone):
            log.warning(
                "the tokenizer joins the end of %r with an action; %d of its tokens are scored with the actions",
                prompt[-20:],
                len(alone) - shared,
            )
        if not shared or min(map(len, whole)) == shared:
            raise UserError(f"{question.prompt!r} and {question.candidates} leave no token to score; give longer texts")
        longest = max(map(len, whole))
        if self._context and longest > self._context:
            raise UserError(
                f"a prompt of {shared} tokens with its longest action makes {longest}, but the model reads "
                f"{self._context}; shorten the observation's text or choose a model with a longer context"
            )
        end = self.policy.tokenizer.eos_token_id
        return build(alone[:shared], [ids[shared:] for ids in whole], end)

    def _score(self, questions: Sequence[Question]) -> list[CandidateScores]:
        trees = [self.tree(question) for question in questions]
        start = max(len(tree.prompt) for tree in trees) - 1
        # indices, not a count: a slice of a batch has gaps, with which torch multiplies each row of it on its own
        keep = torch.arange(start, start + 1 + max(len(tree.nodes) for tree in trees), device=self.policy.device)
        if self._first:
            hidden = _laid_out([self._freeze(question)[0] for question in questions], trees)
            with self._from_layer(self._first, hidden):
                logits = self._run(hidden, trees, logits_to_keep=keep).logits
        else:
            logits = self._run(self._embed(trees), trees, logits_to_keep=keep).logits
        logits = logits.float() / self.policy.temperature
        scores = []
        for tree, own in zip(trees, logits, strict=True):
            rows, tokens = torch.tensor(tree.edges, device=own.device).unbind(dim=1)
            total = own[: 1 + len(tree.nodes)].logsumexp(dim=-1)
            scores.append(CandidateScores(tree, own[rows, tokens] - total[rows]))
        return scores

    @torch.no_grad()
    def _freeze(self, question: Question) -> tuple[Tensor, Tensor]:
        """Hidden states [P + M, D] entering the first adapted layer (empty if that is the first) and features [R, D].

        One question at a time, and in the weights' own precision: a row's last bits depend on its batch, its first on
        autocast, and a resumed run has other batches and asks at other times.
        """
        if question not in self._frozen:
            self.policy.eval()
            tree, entering = self.tree(question), []
            hook = self._layers[self._first].register_forward_pre_hook(lambda _, given: entering.append(given[0][0]))
            try:
                plain = self.policy.model.disable_adapter() if self.policy.has_adapters else nullcontext()
                with plain, torch.autocast(self.policy.device.type, enabled=False):
                    hidden = self._run(self._embed([tree]), [tree], decoder=True).last_hidden_state[0]
            finally:
                hook.remove()
            kept = entering[0] if self._first else hidden[:0]
            self._frozen[question] = kept.clone(), hidden[len(tree.prompt) - 1 :].float()
        entry: tuple[Tensor, Tensor] = self._frozen[question]
        return entry

    def _embed(self, trees: Sequence[TokenTree]) -> Tensor:
        """[B, T, D] input embeddings."""
        ids = [torch.tensor([*tree.prompt, *tree.nodes], device=self.policy.device) for tree in trees]
        embedded: Tensor = self.model.get_input_embeddings()(_laid_out(ids, trees))
        return embedded

    def _run(self, embeds: Tensor, trees: Sequence[TokenTree], decoder: bool = False, **options: Any) -> Any:
        size = embeds.shape[1]
        seen = torch.eye(size, dtype=torch.bool).repeat(len(trees), 1, 1)  # padding sees itself: a softmax needs a term
        start = max(len(tree.prompt) for tree in trees)
        for own, tree in zip(seen, trees, strict=True):
            left, right = start - len(tree.prompt), start + len(tree.nodes)
            own[left:right, left:right] = tree.mask
        lowest = torch.finfo(embeds.dtype).min
        bias = torch.zeros(seen.shape, dtype=embeds.dtype).masked_fill(~seen, lowest)[:, None]
        return (self.model.get_decoder() if decoder else self.model)(
            inputs_embeds=embeds,
            attention_mask=bias.to(embeds.device),
            position_ids=_laid_out([tree.positions for tree in trees], trees).to(embeds.device),
            use_cache=False,
            **options,
        )

    @contextmanager
    def _from_layer(self, first: int, hidden: Tensor) -> Iterator[None]:
        """Inside, the layers below `first` pass on what they get and `first` receives `hidden`."""
        hook = self._layers[first].register_forward_pre_hook(lambda _, given: (hidden, *given[1:]))
        try:
            for layer in self._layers[:first]:
                layer.forward = _pass_on
            yield
        finally:
            for layer in self._layers[:first]:
                vars(layer).pop("forward", None)
            hook.remove()


def _pass_on(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    return hidden_states


def _agreement(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading ids are equal."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _laid_out(rows: Sequence[Tensor], trees: Sequence[TokenTree]) -> Tensor:
    """[B, T, ...]: prompts padded on the left and nodes on the right, so that scored rows stand in the same columns."""
    start, nodes = max(len(tree.prompt) for tree in trees), max(len(tree.nodes) for tree in trees)
    out = rows[0].new_zeros(len(rows), start + nodes, *rows[0].shape[1:])
    for own, row, tree in zip(out, rows, trees, strict=True):
        own[start - len(tree.prompt) : start + len(tree.nodes)] = row
    return out
