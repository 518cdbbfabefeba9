"""The policy over admissible phrases, whole or token by token, and its answers kept until the adapters move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from agentlab_runner.agents.llm.candidates import CandidateScorer, CandidateScores, Normalisation, Question, log_policy
from agentlab_runner.agents.rl.phrases import listed_action
from agentlab_runner.agents.twosome.states import question_of
from agentlab_runner.runners.types import Decision, Observation

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.agents.llm.token_tree import TokenTree

Algorithm = Literal["twosome", "poad", "ntpo"]
Part = tuple[int, int]
"""One elementary decision: the row of the token tree it is made at, and its index among a state's log-probabilities."""


@dataclass(frozen=True, slots=True)
class StatePolicy:
    """The policy in one state as elementary decisions."""

    logprobs: Tensor
    """[n] of the phrases (twosome), or [E] of the tree's edges."""
    entropies: Tensor
    """[1] of the choice of a phrase, or [R] of the next token at each row."""


def parts(tree: "TokenTree", algo: Algorithm) -> tuple[tuple[Part, ...], ...]:
    """For each phrase, the elementary decisions that make it: one, or one a token.

    A phrase that is the beginning of another ends in the decision to go no further.
    """
    if algo == "twosome":
        return tuple(((0, choice),) for choice in range(len(tree.paths)))
    ended = [path if stop is None else (*path, stop) for path, stop in zip(tree.paths, tree.stops, strict=True)]
    return tuple(tuple((tree.edges[edge][0], edge) for edge in path) for path in ended)


def whole_policy(scores: CandidateScores, question: Question, mode: Normalisation) -> StatePolicy:
    """pi(a | s) = softmax of the normalised joint log-probabilities (TWOSOME, section 3)."""
    tokens = [len(path) for path in scores.tree.paths]
    words = [len(phrase.split()) for phrase in question.candidates]
    logprobs = log_policy(scores.joint(), tokens, words, mode)
    return StatePolicy(logprobs, -(logprobs.exp() * logprobs).sum()[None])


def token_policy(scores: CandidateScores) -> StatePolicy:
    """pi(w_j | s, w_<j), the model's next-token distribution over the tokens that some admissible phrase goes on with.

    The phrases' probabilities are the products along their paths, and sum to 1 (after POAD, arXiv 2405.15821).
    """
    rows = torch.tensor([row for row, _ in scores.tree.edges], device=scores.logprobs.device)
    count = 1 + len(scores.tree.nodes)
    total = torch.stack([scores.logprobs[rows == row].logsumexp(0) for row in range(count)])
    logprobs = scores.logprobs - total[rows]
    return StatePolicy(logprobs, total.new_zeros(count).index_add(0, rows, -logprobs.exp() * logprobs))


class PhraseActor:
    """Chooses among an observation's phrases by what the language model thinks of them.

    Args:
        policy: the language model.
        algo: `twosome` chooses whole phrases, `poad` and `ntpo` token by token.
        normalisation: of whole phrases.
        cache_mb, micro_batch: of `CandidateScorer`; micro-batches are for learning.
    """

    def __init__(
        self,
        policy: "LanguagePolicy",
        algo: Algorithm = "twosome",
        normalisation: Normalisation = "word",
        cache_mb: int = 512,
        micro_batch: int = 1,
    ) -> None:
        self.scorer = CandidateScorer(policy, cache_mb=cache_mb, micro_batch=micro_batch)
        self.algo = algo
        self.normalisation = normalisation
        self._known: dict[Question, tuple[Tensor, Tensor]] = {}

    def state_policies(self, questions: Sequence[Question]) -> list[StatePolicy]:
        """Of each question, differentiable."""
        scores = self.scorer.score(questions)
        if self.algo == "twosome":
            return [whole_policy(s, q, self.normalisation) for s, q in zip(scores, questions, strict=True)]
        return [token_policy(s) for s in scores]

    def parts(self, question: Question) -> tuple[tuple[Part, ...], ...]:
        return parts(self.scorer.tree(question), self.algo)

    def log_policies(self, questions: Sequence[Question]) -> list[Tensor]:
        """ln pi(a | s) [n] of each question's phrases, on the CPU."""
        return [known[0] for known in self._answers(questions)]

    def log_parts(self, question: Question) -> Tensor:
        """ln pi [n] or [E] of a question's elementary decisions, on the CPU."""
        return self._answers([question])[0][1]

    def changed(self) -> None:
        """Forget the answers: the adapters have moved."""
        self._known.clear()

    def decide(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        """Draw an action for each observation by torch's global generator, or take the likeliest."""
        questions = [question_of(observation) for observation in observations]
        decisions = []
        for observation, log_probabilities in zip(observations, self.log_policies(questions), strict=True):
            best = int(log_probabilities.argmax())
            choice = best if deterministic else int(torch.multinomial(log_probabilities.exp(), 1))
            decisions.append(Decision(listed_action(observation, choice)))
        return decisions

    @torch.no_grad()
    def _answers(self, questions: Sequence[Question]) -> list[tuple[Tensor, Tensor]]:
        """(ln pi of the phrases, ln pi of the elementary decisions), each computed once until `changed`.

        One question at a time: what it is asked with would change the last bits, and a resumed run asks for others.
        """
        for question in [question for question in dict.fromkeys(questions) if question not in self._known]:
            (policy,) = self.state_policies([question])
            log_parts = policy.logprobs.cpu()
            whole = torch.stack([log_parts[[k for _, k in own]].sum() for own in self.parts(question)])
            self._known[question] = whole, log_parts
        return [self._known[question] for question in questions]
