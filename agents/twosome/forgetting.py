"""Has learning a task cost the model its English? The same text read with the adapters and without."""

from typing import TYPE_CHECKING, Any

import torch

from agentlab_runner.agents.llm.candidates import CandidateScorer, Question
from agentlab_runner.agents.twosome.english import CHOICES, SENTENCES
from agentlab_runner.runners.errors import UserError

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy


def forgetting(policy: "LanguagePolicy") -> dict[str, float]:
    """Likelihood of fixed sentences, and right answers to fixed questions, before and after training.

    Returns:
        `forgetting/loglik_before`, `forgetting/loglik_after`: mean ln P(token | tokens before it), nats;
        `forgetting/choice_before`, `forgetting/choice_after`: share of questions answered rightly (per-token scores).

    Raises:
        UserError: if the model has no adapters to leave out.
    """
    if not policy.has_adapters:
        raise UserError("forgetting compares a model with its adapters left out, and this one has none")
    model: Any = policy.model
    with model.disable_adapter():
        before = _measure(policy)
    after = _measure(policy)
    found = {"before": before, "after": after}
    return {f"forgetting/{name}_{when}": found[when][name] for name in before for when in found}


@torch.no_grad()
def _measure(policy: "LanguagePolicy") -> dict[str, float]:
    policy.eval()
    total, count = 0.0, 0
    for sentence in SENTENCES:
        ids = torch.tensor([policy.prompts.text_ids(sentence)], device=policy.device)
        logprobs = policy.model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
        total += float(logprobs.gather(-1, ids[0, 1:, None]).sum())
        count += ids.shape[1] - 1
    scorer, right = CandidateScorer(policy, cache_mb=1), 0
    for prompt, answers, which in CHOICES:
        (scores,) = scorer.score([Question(prompt, answers)])
        lengths = torch.tensor([len(path) for path in scores.tree.paths])
        right += int((scores.joint().cpu() / lengths).argmax()) == which
    return {"loglik": total / count, "choice": right / len(CHOICES)}


def harness(policy: "LanguagePolicy", tasks: list[str]) -> dict[str, float]:
    """The language-model evaluation harness on tasks of its own, before and after; it fetches their data itself.

    Raises:
        UserError: if `lm-eval` is not installed.
    """
    try:
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        raise UserError("--harness needs the package lm-eval; pip install lm-eval") from error
    model: Any = policy.model
    found: dict[str, float] = {}

    def run(when: str) -> None:
        results = simple_evaluate(HFLM(pretrained=model, tokenizer=policy.tokenizer), tasks=tasks)["results"]
        for task, numbers in results.items():
            found.update({f"harness/{task}_{when}": v for k, v in numbers.items() if k == "acc,none"})

    with model.disable_adapter():
        run("before")
    run("after")
    return found
