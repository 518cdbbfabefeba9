"""`trainer=gpu` against `trainer=cpu`: losses and gradients of the same weights on the same data, in each precision."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.errors import RunFailed
from agentlab_runner.runners.processes.trainer import Trainer
from benchmarks.figures import Figure
from benchmarks.gpu import works
from benchmarks.gpu.device import Skipped, exact, figure
from benchmarks.gpu.works import Work

Precision = Literal["no", "bf16", "fp16"]

BARS: Mapping[Precision, tuple[str, str]] = {
    "no": ("<= 1e-4", "<= 1e-4"),
    "bf16": ("<= 0.02", "<= 0.1"),
    "fp16": ("<= 0.005", "<= 0.02"),
}
"""How far a loss, relative to itself, and a gradient, relative to its norm, may be from float32 on the CPU."""
NAMES: Mapping[Precision, str] = {"no": "float32", "bf16": "bf16", "fp16": "fp16"}
TRIES = 20
"""Steps in which fp16's loss scale must have found its place."""


class Recorder(torch.optim.SGD):
    """Keeps the gradient it was given and moves nothing."""

    gradient: Tensor | None = None

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        gradients = (p.grad for group in self.param_groups for p in group["params"] if p.grad is not None)
        self.gradient = torch.cat([gradient.double().flatten().cpu() for gradient in gradients])


def gradient(trainer: Trainer, work: Work) -> tuple[float, Tensor]:
    """The loss, and its gradient [P] float64, as an agent gets it from the trainer.

    Raises:
        RunFailed: if no step in `TRIES` had a finite gradient.
    """
    module, loss = work(trainer.device)
    trainer.prepare(module)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer, seen = Recorder(parameters, lr=0.0), []

    def once() -> Iterator[Tensor]:
        found = loss()
        seen.append(float(found.detach()))
        yield found

    for _ in range(TRIES):
        trainer.step(optimizer, once(), parameters)
        if optimizer.gradient is not None:
            return seen[-1], optimizer.gradient
    raise RunFailed(f"no gradient was finite in {TRIES} steps of {trainer.accelerator.mixed_precision}")


def apart(own: tuple[float, Tensor], other: tuple[float, Tensor]) -> tuple[float, float]:
    """Differences of the losses and of the gradients, relative to the other's."""
    return abs(own[0] - other[0]) / abs(other[0]), float((own[1] - other[1]).norm() / other[1].norm())


def check(device: torch.device, quick: bool) -> Iterator[Figure]:
    """Every work in every precision, then what is not asked to be equal but should be known."""
    kind: Any = device.type
    with works.phone_model() as folder:
        every: dict[str, Work] = {
            "tiny policy": works.phone(folder, 4 if quick else 8),
            "phrases": works.phrases,
            "SCM": works.causal_model,
        }
        yield figure("tiny policy, float32 as torch has it, gradient", _as_it_comes(kind, every["tiny policy"]))
        exact()
        right = {name: gradient(Trainer(), work) for name, work in every.items()}
        precisions: list[Precision] = ["no", "bf16", *(["fp16"] if kind == "cuda" else [])]  # type: ignore[list-item]
        for precision in precisions:
            for name, work in every.items():
                loss, grad = apart(gradient(Trainer(device=kind, precision=precision), work), right[name])
                own, others = BARS[precision]
                yield figure(f"{name}, {NAMES[precision]}, loss", loss, bar=own, loss=right[name][0])
                yield figure(f"{name}, {NAMES[precision]}, gradient", grad, bar=others)
        for name, work in every.items():
            twice = [gradient(Trainer(device=kind), work)[1] for _ in range(2)]
            yield figure(f"{name}, float32, gradient computed twice", float((twice[0] - twice[1]).abs().max()))
        yield figure("bf16, acting against learning", _acting(kind, folder), "nats a token")
    if kind != "cuda":
        raise Skipped("fp16 needs a GPU")


def _as_it_comes(kind: Any, work: Work) -> float:
    """With TensorFloat-32 wherever torch allows it by itself."""
    return apart(gradient(Trainer(device=kind), work), gradient(Trainer(), work))[1]


def _acting(kind: Any, folder: Any) -> float:
    """How far ln P of what was just said moves when the learner looks again: acting is not autocast, learning is."""
    trainer = Trainer(device=kind, precision="bf16")
    policy = LanguagePolicy.from_pretrained(folder, max_new_tokens=24)
    trainer.prepare(policy)
    torch.manual_seed(0)
    seen = works.screens(8)
    said = policy.generate(seen)
    with torch.no_grad(), trainer.accelerator.autocast():
        scores = policy(seen, [one.token_ids for one in said])
    before = torch.nn.utils.rnn.pad_sequence([torch.tensor(one.logprobs) for one in said], batch_first=True)
    return float((scores.logprobs.cpu() - before).abs().sum() / scores.mask.sum())
