"""`+exp=coso_android` at tiny size, the whole way: warm start, rollout, learning, evaluation, stop and resumption."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.launch import build
from agentlab_runner.runners.online.rollout import collect, episode_seeds
from agentlab_runner.runners.processes.rng import seed_everything
from agentlab_runner.runners.run.folder import Run
from benchmarks.figures import Figure
from benchmarks.gpu.device import Lap, figure, peak_memory
from benchmarks.setting import QUIET, environments, warm_start

TINY = ("warm_start.episodes=60", "agent.imitation.steps=60", "rollout_size=16", "agent.scm.pretrain_rounds=20")
TINIER = (*TINY, "warm_start.episodes=8", "agent.imitation.steps=4", "rollout_size=4", "env.num_envs=4")


def check(device: torch.device, quick: bool) -> Iterator[Figure]:
    """Speed of a rollout and of learning in `trainer=gpu`'s own precision; then a run stopped and resumed."""
    trainer = "gpu" if device.type == "cuda" else "cpu"
    overrides = (*(TINIER if quick else TINY), f"trainer={trainer}")
    with TemporaryDirectory() as home:
        os.environ["AGENTLAB_CACHE"] = home
        with warm_start(overrides) as start:
            agent, envs = start.agent(), environments(overrides)
            seed_everything(0)
            for name in ("first", "second"):  # the first chooses kernels
                acting = Lap(device)
                played = collect(agent, envs, episode_seeds(0, count=start.cfg.rollout_size))
                seconds = acting.read()
                tokens = sum(len(step.decision.extras["token_ids"]) for t in played for step in t.steps)
                rate = tokens / seconds
                yield figure(f"tokens of a rollout of {len(envs)} phones, {name}", rate, "/s", tokens=tokens)
                learning = Lap(device)
                agent.learn(played, start.trainer)
                yield figure(f"an iteration's learning, {name}", learning.read(), "s")
        yield from peak_memory(device)
        bar = "" if device.type == "cuda" else "<= 0"  # some sums have no fixed order on a GPU
        yield figure("logged numbers of a resumed run, against an unbroken one", _resumed(overrides), bar=bar)


def _resumed(overrides: Sequence[str]) -> float:
    """The largest relative difference of what two iterations log, with and without a stop between them."""
    with TemporaryDirectory() as folder:
        logged = []
        for name, stops in (("unbroken", (2,)), ("stopped", (1, 2))):
            given = ["+exp=coso_android", *QUIET, *overrides, "checkpoint.every=1", "total_iterations=2"]
            run = Run.create(compose(given), Path(folder), ["benchmarks"], name=name)
            for stop in stops:
                with run:
                    build(compose([*given, f"total_iterations={stop}"])).train(run)
            logged.append(_numbers(run.path))
        return max(_apart(logged[0][key], logged[1].get(key, math.inf)) for key in logged[0])


def _numbers(run: Path) -> dict[tuple[int, str], float]:
    """What was logged of an iteration, but for seconds."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        (line["step"], name): value
        for line in lines
        for name, value in line.items()
        if isinstance(value, int | float) and not name.startswith("time")
    }


def _apart(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b) / max(abs(a), abs(b))
