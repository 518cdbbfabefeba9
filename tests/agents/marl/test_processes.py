"""Several processes learn as one: each takes its rows of every minibatch, and gradients are averaged."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from agentlab_runner.agents.marl.hierarchy import Hierarchy
from agentlab_runner.agents.marl.ppo import TeamPPO
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.marl.batches import WALKERS, played

PROCESS = """
import json, os, sys, torch
from tests.agents.marl.test_processes import learnt
found = learnt(sys.argv[1], "ddp")
if os.environ["RANK"] == "0":
    print(json.dumps(found))
"""
SMALL = {"hidden": 16, "heads": 2, "head_dim": 4, "epochs": 2, "minibatches": 3}


def learnt(kind: str, strategy: str) -> list[object]:
    """Numbers and weights after two batches, of which some minibatches cannot be divided evenly."""
    torch.manual_seed(3)
    agent = (
        TeamPPO(WALKERS, **SMALL, context_size=8, kl_coef=0.2)
        if kind == "student"
        else Hierarchy(WALKERS, interval=2, high={**SMALL, "train_batch_size": 20}, low={**SMALL, "network": "mlp"})
    )
    trainer = Trainer(strategy=strategy)  # type: ignore[arg-type]
    agent.setup(trainer)
    metrics = []
    for seed in (0, 50):
        with trainer.apart():
            batch = played(agent, 9, seed=seed)
        metrics.append(dict(agent.learn(batch, trainer)))
    levels = [agent.level] if isinstance(agent, TeamPPO) else [agent.high, agent.low]
    return [metrics, [p.flatten().tolist() for level in levels for p in level.parameters()]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["student", "hierarchy"])
def test_two_processes_learn_as_one(kind, tmp_path):
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    paths = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), kind],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        out, _ = processes[0].communicate()
        assert processes[1].wait() == processes[0].returncode == 0
    finally:
        for process in processes:
            process.kill()
    metrics, weights = json.loads(out)
    expected, whole = learnt(kind, "single")
    for found, known in zip(metrics, expected, strict=True):  # type: ignore[call-overload]
        assert found == pytest.approx(known, rel=1e-3, abs=1e-4)
    for mine, theirs in zip(weights, whole, strict=True):  # type: ignore[call-overload]
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-4)
