"""One optimiser step, whatever the device, precision and number of processes."""

import json
import os
import socket
import subprocess
import sys
import weakref

import pytest
import torch
from torch import nn

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.processes.trainer import Trainer


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


X = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))
Y = X.sum(dim=1, keepdim=True)


def losses(model, size):
    """Microbatch losses, each weighed by its share, of the mean squared error over X."""
    for start in range(0, len(X), size):
        part = slice(start, start + size)
        yield ((model(X[part]) - Y[part]) ** 2).sum() / len(X)


class Recorder(torch.optim.SGD):
    """Keeps the gradient it was given."""

    def step(self, closure=None):
        self.seen = [p.grad.clone() for group in self.param_groups for p in group["params"]]


@pytest.mark.parametrize("size", [1, 5, 12])
def test_accumulated_gradient_is_that_of_the_whole_batch(model, size):
    trainer = Trainer()
    trainer.prepare(model)
    optimizer = Recorder(model.parameters(), lr=0.1)
    norm = trainer.step(optimizer, losses(model, size), model.parameters())
    loss = nn.functional.mse_loss(model(X), Y)
    whole = torch.autograd.grad(loss, list(model.parameters()))
    for accumulated, expected in zip(optimizer.seen, whole, strict=True):
        torch.testing.assert_close(accumulated, expected, rtol=0, atol=1e-6)
    assert norm == pytest.approx(torch.cat([g.flatten() for g in whole]).norm().item(), abs=1e-6)


def test_one_graph_lives_at_a_time(model):
    alive = []

    def watched():
        for loss in losses(model, 3):
            assert all(reference() is None for reference in alive)
            alive.append(weakref.ref(loss))
            yield loss
            del loss

    Trainer().step(torch.optim.SGD(model.parameters(), lr=0.1), watched(), model.parameters())
    assert len(alive) == 4


def test_gradients_are_clipped_and_zeroed_and_the_norm_is_from_before(model):
    optimizer = Recorder(model.parameters(), lr=0.1)
    norm = Trainer().step(optimizer, losses(model, 12), model.parameters(), max_grad_norm=0.01)
    assert norm > 0.1
    assert torch.cat([g.flatten() for g in optimizer.seen]).norm() == pytest.approx(0.01, rel=1e-3)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_training_learns(model):
    trainer, optimizer = Trainer(), torch.optim.Adam(model.parameters(), lr=0.05)
    before = nn.functional.mse_loss(model(X), Y).item()
    for _ in range(60):
        trainer.step(optimizer, losses(model, 4), model.parameters(), 1.0)
    assert nn.functional.mse_loss(model(X), Y).item() < before / 10


def test_a_diverged_step_changes_nothing_and_says_so(model):
    before = [parameter.clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(RunFailed, match="gradient norm is nan"):
        Trainer().step(optimizer, [model(X).sum() * float("nan")], model.parameters(), 1.0)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_bf16_computes_in_bf16_and_keeps_float32_weights(model):
    seen = []

    def watched():
        out = model(X)
        seen.append(out.dtype)
        yield (out.float() - Y).square().mean()

    norm = Trainer(precision="bf16").step(torch.optim.SGD(model.parameters(), lr=0.1), watched(), model.parameters())
    assert seen == [torch.bfloat16]
    assert model[0].weight.dtype == torch.float32
    exact = Trainer().step(torch.optim.SGD(model.parameters(), lr=0.0), losses(model, 12), model.parameters())
    assert norm != exact
    assert model(X).dtype == torch.float32


def test_what_this_machine_cannot_do_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"needs a CUDA GPU.*use trainer=cpu"):
        Trainer(device="cuda")
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        Trainer(precision="fp16")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(UserError, match="start it with `agentlab train"):
        Trainer(strategy="ddp")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="use trainer=ddp"):
        Trainer()


def test_prepare_gives_back_what_it_was_given(model):
    trainer, optimizer = Trainer(), torch.optim.SGD(model.parameters(), lr=0.1)
    assert trainer.prepare(model) is model
    assert trainer.prepare(model, optimizer) == (model, optimizer)
    assert trainer.is_main
    assert trainer.device == torch.device("cpu")


PROCESS = """
import json, os, sys, torch
from torch import nn
from agentlab_runner.runners.processes.trainer import Trainer
from tests.runners.processes.test_trainer import X, Y
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
torch.manual_seed(rank)  # different weights, which prepare makes equal
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
trainer = Trainer(strategy=sys.argv[1])
trainer.prepare(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
x, y = X.chunk(size)[rank], Y.chunk(size)[rank]
norms = [
    trainer.step(optimizer, (((model(a) - b) ** 2).sum() / len(x) for a, b in zip(x.split(2), y.split(2))),
                 model.parameters(), 0.5)
    for _ in range(3)
]
weights = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in model.parameters()]
if trainer.is_main:
    print(json.dumps([norms, [w.tolist() for w in weights]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_as_one(model, strategy, tmp_path):
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), strategy],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": os.getcwd()},
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
    norms, weights = json.loads(out)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    expected = [Trainer().step(optimizer, losses(model, 12), model.parameters(), 0.5) for _ in range(3)]
    assert norms == pytest.approx(expected, rel=1e-5)
    for found, parameter in zip(weights, model.parameters(), strict=True):
        torch.testing.assert_close(torch.tensor(found), parameter.detach(), rtol=1e-5, atol=1e-5)


SPLIT_ON_THE_CPU = """
import torch
from torch import nn
torch._C._get_accelerator = lambda *_: torch.device("cuda")  # as on a machine with a GPU
from agentlab_runner.runners.processes.trainer import Trainer
model = nn.Sequential(nn.ModuleList([nn.Linear(4, 4)]), nn.Linear(4, 1))
Trainer(device="cpu", strategy="fsdp").prepare(model)
assert {p.device_mesh.device_type for p in model.parameters()} == {"cpu"}
"""


def test_weights_are_split_on_the_device_that_was_chosen():
    """FSDP left alone takes a GPU wherever there is one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    done = subprocess.run(
        [sys.executable, "-c", SPLIT_ON_THE_CPU], env=os.environ | alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
