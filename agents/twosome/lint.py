"""Read prompts as the model does: the untrained policy in every state met, and what is likely to mislead it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from agentlab_runner.agents.llm.candidates import CandidateScorer, Normalisation, Question, log_policy
from agentlab_runner.agents.rl.phrases import listed_action
from agentlab_runner.agents.twosome.states import question_of

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy

MODES: tuple[Normalisation, ...] = ("sum", "token", "word")
HOPELESS = 0.001
"""A phrase the untrained policy (word) gives less is met so rarely that PPO hardly learns of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One distinct state."""

    question: Question
    policies: dict[Normalisation, list[float]]
    """pi(a | s) under each normalisation."""
    remarks: tuple[str, ...]
    """Against the four principles: an unfinished clause, phrases that go on with it, comparable lengths and odds."""


def visited(env: Any, episodes: int, seed: int = 0) -> list[Question]:
    """The distinct states of episodes played at random among the admissible actions, in order of first sight."""
    draw = torch.Generator().manual_seed(seed)
    met: dict[Question, None] = {}
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode, options={"episode": episode})
        ended = False
        while not ended:
            question = question_of(observation)
            question.check()
            met[question] = None
            choice = int(torch.randint(len(observation["action_ids"]), (), generator=draw))
            observation, _, terminated, truncated, _ = env.step(listed_action(observation, choice))
            ended = terminated or truncated
    return list(met)


@torch.no_grad()
def lint(policy: "LanguagePolicy", questions: Sequence[Question]) -> list[Finding]:
    """What the untrained model makes of each state."""
    findings = []
    for question, scores in zip(questions, CandidateScorer(policy).score(questions), strict=True):
        tokens = [len(path) for path in scores.tree.paths]
        words = [len(phrase.split()) for phrase in question.candidates]
        joint = scores.joint().cpu()
        policies = {mode: log_policy(joint, tokens, words, mode).exp().tolist() for mode in MODES}
        findings.append(Finding(question, policies, tuple(_remarks(question, words, policies["word"]))))
    return findings


def _remarks(question: Question, words: Sequence[int], chances: Sequence[float]) -> list[str]:
    remarks = []
    if question.prompt.rstrip()[-1:] in ".!?:;":
        remarks.append("the prompt ends in a finished sentence; let it end where an action goes on")
    if question.prompt != question.prompt.rstrip():
        remarks.append("the prompt ends in a blank; one is put before each action anyway")
    if any(phrase[0].isupper() for phrase in question.candidates):
        remarks.append("an action begins with a capital, as if a new sentence began")
    if max(words) > 4 * min(words):
        remarks.append(f"actions have {min(words)} to {max(words)} words; even word normalisation will favour some")
    remarks += [
        f"{phrase!r} has {chance:.1g} of the untrained policy"
        for phrase, chance in zip(question.candidates, chances, strict=True)
        if chance < HOPELESS
    ]
    return remarks
