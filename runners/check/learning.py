"""What an agent has learnt is in its state, and a run that was killed ends as one that was not."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from agentlab_runner.runners import launch
from agentlab_runner.runners.check.agents import Agents
from agentlab_runner.runners.check.decisions import compare
from agentlab_runner.runners.check.finding import Broken, NotAsked
from agentlab_runner.runners.check.small import FEW
from agentlab_runner.runners.check.trace import digest, short
from agentlab_runner.runners.errors import RunFailed, Unreachable, UserError
from agentlab_runner.runners.experiment import LearningAgent
from agentlab_runner.runners.files.tensors import read_tensors
from agentlab_runner.runners.online.contract import reported
from agentlab_runner.runners.processes.rng import seed_everything
from agentlab_runner.runners.run.folder import JOURNAL, Run

TIMES = ("time", "seconds", "cost", "cached")
"""What is not the same twice."""
_ON_GPU = 1e-3
"""Relative difference of numbers that a GPU computed."""


def runs(one: Agents) -> str:
    """Makes the short run that the other rules begin from."""
    try:
        one.run, _ = launch.begin(one.cfg, one.overrides, "check")
    except Unreachable:
        raise
    except UserError as fault:
        if "made from demonstrations" in str(fault):
            raise NotAsked(str(fault)) from fault
        raise
    except RunFailed as fault:
        raise Broken(f"{one.name}: {str(fault).replace(str(one.folder), 'FOLDER')}") from fault
    return f"{FEW} iterations of {one.cfg.rollout_size} episodes" if one.learns else "a few episodes"


def resumed(one: Agents) -> str:
    """The run once more from its middle, in a process of its own, ends with the same numbers."""
    assert one.run is not None
    copy = one.folder / "resumed" / one.run.name
    shutil.copytree(one.run, copy)
    return _iteration_again(one, one.run, copy) if one.learns else _episodes_again(one, one.run, copy)


def state(one: Agents) -> str:
    """Another agent with this one's state decides and learns as it does."""
    agent = one.fresh()
    if not (one.learns and isinstance(agent, LearningAgent)):
        raise NotAsked("it learns nothing")
    agent.learn(one.play(agent, False, seed=3), one.trainer)  # from here on it may know more than it has told
    other = one.fresh()
    other.load_state_dict(_through_a_file(one, agent))
    first, second = one.play(agent, False, seed=4), one.play(other, False, seed=4)
    missing = "decided otherwise than another with its state; let state_dict give all that learning has changed"
    compare(one, first, second, missing)
    learnt = []
    for learner, played in ((other, second), (agent, first)):
        seed_everything(5)
        learnt.append(reported(learner, "learn", learner.learn(played, one.trainer)))
    if found := _difference(one, learnt[1], learnt[0]):
        raise Broken(
            f"{one.name}.learn gave another {found} after load_state_dict(state_dict()); let state_dict give all that "
            "learning has changed: weights, optimisers, buffers, counters"
        )
    return f"{len(learnt[0])} numbers of the next learn alike"


def _through_a_file(one: Agents, agent: LearningAgent) -> Any:
    import torch

    file = one.folder / "state.pt"
    torch.save(dict(agent.state_dict()), file)
    return read_tensors(file)


def _iteration_again(one: Agents, run: Path, copy: Path) -> str:
    _resume(one, copy, "checkpoint=1")
    last, now = (_last(path) for path in (run, copy))
    if found := _difference(one, last, now):
        raise Broken(
            f"{one.name}: a run that was killed after iteration {FEW - 1} and resumed gave another {found} in "
            "the next; let state_dict give all that learning has changed, and draw from the global generators"
        )
    return f"{len(last)} numbers of iteration {FEW} alike"


def _episodes_again(one: Agents, run: Path, copy: Path) -> str:
    journal = copy / JOURNAL
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    if len(lines) < 2:
        raise NotAsked("one episode was played, and a kill leaves whole ones")
    journal.write_text("".join(lines[: len(lines) // 2]), "utf-8")
    _resume(one, copy)
    before, now = ({line["number"]: line for line in _played(path)} for path in (run, copy))
    for number, line in before.items():
        if found := _difference(one, line, now.get(number, {})):
            raise Broken(
                f"{one.name}: an evaluation that was killed in its middle and resumed gave another {found} in episode "
                f"{number}; let decisions follow from the episode alone"
            )
    return f"{len(before)} episodes alike, {len(lines) - len(lines) // 2} of them played again"


def _resume(one: Agents, run: Path, *more: str) -> None:
    command = [sys.executable, "-m", "agentlab_runner.runners", "resume", f"run={run}", *more, "--trust", str(run)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise Broken(f"{one.name}: a run of it cannot be resumed: {said[0].replace(str(one.folder), 'FOLDER')}")


def _last(run: Path) -> dict[str, Any]:
    lines = Run.open(run).metrics()
    return {key: value for line in lines if line["step"] == FEW for key, value in line.items()}


def _played(run: Path) -> list[dict[str, Any]]:
    played: list[dict[str, Any]] = json.loads((run / "eval" / "evaluation.json").read_text("utf-8"))["played"]
    return played


def _difference(one: Agents, first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """The first value that differs, as `name (this, that)`; times are left out."""
    for name in {**first, **second}:
        if name.split("/")[0] in TIMES:
            continue
        before, now = first.get(name), second.get(name)
        if not _alike(one, before, now):
            return f"{name} ({short(before)}, {short(now)})"
    return None


def _alike(one: Agents, before: Any, now: Any) -> bool:
    on_gpu = one.trainer.device.type == "cuda"
    if is_dataclass(before) and is_dataclass(now):
        before, now = asdict(before), asdict(now)  # type: ignore[arg-type]
    if isinstance(before, int | float) and isinstance(now, int | float):
        same = before == now or (math.isnan(before) and math.isnan(now))
        return same or (on_gpu and math.isclose(before, now, rel_tol=_ON_GPU, abs_tol=_ON_GPU))
    return on_gpu or digest(before) == digest(now)
