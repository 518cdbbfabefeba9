"""Ray's own processes killed under a run, and nodes under a cluster of several."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentlab_runner.runners.errors import RolloutLost, UserError
from agentlab_runner.runners.online.rollout import Rollout
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import StopReason
from tests.conftest import ROOT, agentlab, environment
from tests.runners.online.test_ray_rollout import ENV, Player, seen

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster as Nodes  # noqa: E402

from agentlab_runner.runners.online.ray_rollout import RayRollout  # noqa: E402

pytestmark = pytest.mark.slow

CONF = str(ROOT / "tests/runners/conf")


def descendants(pid: int) -> dict[int, str]:
    """The processes that a process has started, and they in turn, with their command lines."""
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        try:
            children = [int(child) for task in folder.glob("task/*/children") for child in task.read_text().split()]
            found |= {child: Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in children}
        except OSError:
            continue
        waiting += children
    return found


def logged(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for file in folder.glob("runs/*/metrics.jsonl") for line in file.read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith("time")} for line in lines]


@pytest.mark.parametrize("victim", ["/raylet/raylet ", "ray::RuntimeEnvAgent", "ray::DashboardAgent", "gcs_server"])
def test_a_run_whose_ray_dies_saves_and_goes_on(victim, tmp_path):
    env = environment() | {"AGENTLAB_CONF": CONF}
    whole = tmp_path / "whole"
    whole.mkdir()
    assert agentlab("train", "+exp=gamble", cwd=whole, env=env).exit_code == 0
    command = [sys.executable, "-m", "agentlab_runner.runners", "train", "+exp=gamble", "env.pause=1"]
    command += ["rollout=ray", "rollout.workers=2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while 1 not in {line["step"] for line in logged(tmp_path)}:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    (found,) = [pid for pid, command in descendants(process.pid).items() if victim in command]
    os.kill(found, signal.SIGKILL)
    began = time.monotonic()
    _, stderr = process.communicate()
    print(f"{victim} died: ended after {time.monotonic() - began:.0f} s")
    assert process.returncode == 1, stderr
    told = stderr.splitlines()[-1]
    assert told.startswith("agentlab: the ")
    assert f"go on with: agentlab resume run=runs/{next(tmp_path.glob('runs/*')).name}" in told
    saved = max(int(file.stem) for file in tmp_path.glob("runs/*/checkpoints/*.json"))
    assert saved == logged(tmp_path)[-1]["step"]
    resumed = agentlab("resume", "run=latest", cwd=tmp_path, env=env)
    assert resumed.exit_code == 0, resumed.stderr
    assert logged(tmp_path) == logged(whole)


def test_a_cluster_that_happens_to_be_named_is_not_joined(tmp_path):
    env = environment() | {"AGENTLAB_CONF": CONF, "RAY_ADDRESS": "127.0.0.1:1"}
    played = agentlab("train", "+exp=gamble", "rollout=ray", cwd=tmp_path, env=env)
    assert played.exit_code == 0, played.stderr


@pytest.fixture
def nodes():
    """A head without room for workers, and two nodes with room for two each."""
    if ray.is_initialized():
        ray.shutdown()
    cluster = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    others = [cluster.add_node(num_cpus=2) for _ in range(2)]
    yield cluster, others
    ray.shutdown()
    while any(thread.name == "ray watch" for thread in threading.enumerate()):
        time.sleep(0.1)  # Ray ends a process that asks a head which is not there any more
    cluster.shutdown()


class Killer(Player):
    """Plays, and before the second throw of its first episodes kills what it is given."""

    def __init__(self, victims):
        super().__init__()
        self.victims = victims

    def _choose(self, observation):
        if observation["text"] == "1":
            while self.victims:
                self.victims.pop()()
        return ""


def home(worker) -> str:
    """The node that a worker is on."""
    return ray.get(worker._actor.__ray_call__.remote(lambda self: ray.get_runtime_context().get_node_id()))


def node_of(worker, cluster, others):
    """What kills the node that a worker is on, and everything there, as a power cut would."""
    (node,) = [node for node in others if node.node_id == home(worker)]
    (raylet,) = node.all_processes["raylet"]
    below = [pid for pid, command in descendants(raylet.process.pid).items() if command.startswith("ray::Envs")]
    killers = [lambda pid=pid: os.kill(pid, signal.SIGKILL) for pid in below]
    return [*killers, lambda: cluster.remove_node(node, allow_graceful=False)]


def test_a_lost_node_of_several_loses_its_episodes_alone(nodes):
    cluster, others = nodes
    seeds = list(range(20, 28))
    local = Rollout(ENV, 4, Trainer()).collect(Player(), seeds)
    rollout = RayRollout(ENV, 4, Trainer(), workers=2, address=cluster.address, cpus=1)
    try:
        played = rollout.collect(Player(), seeds)
        assert seen(played) == seen(local)
        assert home(rollout._workers[0]) != home(rollout._workers[1])
        disturbed = rollout.collect(Killer(node_of(rollout._workers[0], cluster, others)), seeds)
        lost = [number for number, trajectory in enumerate(disturbed) if trajectory.stop is StopReason.DEVICE_LOST]
        assert lost == [0, 2]  # both were on worker 0
        whole = [number for number in range(len(seeds)) if number not in lost]
        assert [t[:3] for i, t in enumerate(seen(disturbed)) if i in whole] == [
            t[:3] for i, t in enumerate(seen(local)) if i in whole
        ]
    finally:
        rollout.close()


def test_where_no_room_is_left_for_a_worker_the_others_play_its_episodes(nodes, monkeypatch, caplog):
    monkeypatch.setattr("agentlab_runner.runners.online.ray_rollout.PLACE", 10.0)
    cluster, others = nodes
    rollout = RayRollout(ENV, 4, Trainer(), workers=4, address=cluster.address, cpus=1)
    try:
        with pytest.raises(UserError, match="1 rollout workers of 1 CPUs, beside 4 of this run's other workers"):
            RayRollout(ENV, 1, Trainer(), workers=1, address=cluster.address, cpus=1)
        rollout.collect(Player(), [1] * 4)
        played = rollout.collect(Killer(node_of(rollout._workers[0], cluster, others)), list(range(20, 28)))
        assert sum(trajectory.stop is StopReason.DEVICE_LOST for trajectory in played) == 2
        assert sum(trajectory.success for trajectory in played) == 6
        told = "an environment is retired: the rollout workers need 4 CPUs and the Ray cluster has no more than 2 left"
        assert caplog.text.count(told) == 2
    finally:
        rollout.close()


def test_losing_ones_own_node_ends_the_play(nodes):
    cluster, _ = nodes
    rollout = RayRollout(ENV, 2, Trainer(), workers=2, address=cluster.address, cpus=1)
    head = cluster.head_node
    (raylet,) = head.all_processes["raylet"]

    def play_on():
        while True:
            rollout.collect(Killer([raylet.process.kill]), [1, 2])

    with pytest.raises(RolloutLost, match="the Ray node on this machine has died"):
        play_on()
