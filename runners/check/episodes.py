"""What the runner relies on in every episode: what is given, how it ends, what is kept of it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from agentlab_runner.runners.check.actions import Actions
from agentlab_runner.runners.check.finding import Broken, NotAsked
from agentlab_runner.runners.check.subject import Environment
from agentlab_runner.runners.check.trace import Trace, digest, played, short
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import Frames
from agentlab_runner.runners.run.episodes import RECORDED_INFO, load_episodes, save_episodes
from agentlab_runner.runners.types import StopReason

NO_TASK = "no such task"


def answers(one: Environment) -> str:
    """Plays the episodes that the other rules are held against."""
    frames = Frames()
    with one.opened() as env:
        player = Actions(getattr(env, "action_space", None), one.parser)
        for start in one.starts:
            one.random.append(played(env, start, player.random(start.seed), frames=frames))
            one.idle.append(played(env, start, player.idle(), frames=frames))
    lengths = [len(trace.steps) for trace in one.traces]
    return f"{len(lengths)} episodes of {min(lengths)} to {max(lengths)} steps, each of which ended"


def task_and_goal(one: Environment) -> str:
    for trace in one.traces:
        for key in ("task", "goal"):
            if not (isinstance(trace.begun.get(key), str) and trace.begun[key]):
                raise Broken(
                    f"{one.name}.reset says {key}={short(trace.begun.get(key))} in its info; give the task's name as "
                    "`task` and what is to be done, in words, as `goal`"
                )
    return ", ".join(_tasks(one)[:6])


def spaces(one: Environment) -> str:
    for name in ("observation_space", "action_space"):
        if one.declared[name] is None:
            raise Broken(f"{one.name} declares no {name}; set it when it is made")
    for trace in one.traces:
        if trace.outside:
            raise Broken(f"{trace.outside}; declare what is given, or give what is declared")
    return f"{sum(len(trace.observations) for trace in one.traces)} observations in theirs, and every action"


def ends(one: Environment) -> str:
    """Terminated: done or lost; truncated: the step limit, or the world went away."""
    for trace in one.traces:
        if trace.both is not None:
            raise Broken(
                f"{one.name}.step said terminated and truncated at once; terminated: the task is done or lost, "
                "truncated: the step limit, or the world went away"
            )
        if trace.success and not trace.terminated:
            raise Broken(f"{one.name}.step said success with truncated; an episode that is won is terminated")
        said = trace.last.get("stop")
        if said in (StopReason.HORIZON, StopReason.TIMEOUT, StopReason.DEVICE_LOST) and not trace.truncated:
            raise Broken(f"{one.name}.step said stop={str(said)!r} with terminated; that is truncated")
    lost = [trace for trace in one.traces if trace.terminated and not trace.success and "stop" not in trace.last]
    lengths = {len(trace.steps) for trace in lost}
    if len(lost) == len(one.traces) >= 4 and len(lengths) == 1 and (length := lengths.pop()) > 1:
        raise Broken(
            f"{one.name}.step terminated all {len(lost)} episodes after {length} steps; a step limit is truncated (if "
            "it is none, say info['stop'] = 'failure')"
        )
    return f"{sum(t.terminated for t in one.traces)} terminated, {sum(t.truncated for t in one.traces)} truncated"


def success(one: Environment) -> str:
    for trace in one.traces:
        if not isinstance(trace.last["success"], bool | np.bool_):
            raise Broken(f"{one.name}.step said success={short(trace.last['success'])} at an end; say True or False")
    return f"said at {len(one.traces)} ends"


def unchanged(one: Environment) -> str:
    for trace in one.traces:
        if trace.changed:
            raise Broken(f"{one.name} has changed {trace.changed} after it was given; give a copy of what it works on")
    return "what was shown stayed as it was"


def recorded(one: Environment) -> str:
    """What is kept of an episode comes back from its files."""
    trajectory = one.random[0].trajectory()
    with TemporaryDirectory() as folder:
        try:
            save_episodes(Path(folder), [trajectory])
            [loaded] = load_episodes(Path(folder))
        except (UserError, TypeError, ValueError, KeyError, AttributeError, OSError) as fault:
            said = str(fault).replace(folder, "FOLDER")
            raise Broken(f"{one.name}: an episode of it cannot be recorded and read again: {said}") from fault
    for number, (step, back) in enumerate(zip(trajectory.steps, loaded.steps, strict=True), start=1):
        for key in RECORDED_INFO:
            if digest(step.info.get(key)) != digest(back.info.get(key)):
                raise Broken(
                    f"{one.name}.step gave {key}={short(step.info.get(key))} in step {number}, of which the recording "
                    f"keeps {short(back.info.get(key))}; give what JSON holds, and marks as docs/adding_an_env.md says"
                )
    kept = ("task", "goal", "seed", "success", "stop", "reason", "measures")
    for name in kept:
        if digest(getattr(trajectory, name)) != digest(getattr(loaded, name)):
            raise Broken(f"{one.name}: the {name} {short(getattr(trajectory, name))} is not kept by a recording")
    return f"{len(loaded.steps)} steps came back from their files"


def by_name(one: Environment) -> str:
    """A task that is asked for is begun, or refused."""
    said: list[str] = []
    with one.opened() as env:
        for task in [*_tasks(one)[:3], NO_TASK]:
            try:
                _, info = env.reset(seed=one.starts[0].seed, options={"episode": 0, "task": task})
            except ValueError:
                said.append("refused")
                continue
            if task == NO_TASK or info.get("task") != task:
                raise Broken(
                    f"{one.name}.reset was asked for the task {task!r} and began {info.get('task')!r}; begin what "
                    "options['task'] names and say it in info['task'], or raise ValueError with the tasks there are"
                )
            said.append("obeyed")
    if not said[:-1]:
        raise NotAsked("reset names no task")
    return ", ".join(f"{said[:-1].count(what)} {what}" for what in ("obeyed", "refused") if what in said[:-1])


def nothing_left(one: Environment) -> str:
    if one.left:
        what = ", ".join(dict.fromkeys(one.left))
        raise Broken(f"{one.name}.close left running: {what}; end there what the environment has started")
    return "no thread and no process"


def _tasks(one: Environment) -> list[str]:
    names = {trace.begun.get("task") for trace in one.traces}
    return sorted(name for name in names if isinstance(name, str) and name)


def counted(traces: list[Trace]) -> list[Trace]:
    """Those that say something of a player."""
    return [trace for trace in traces if trace.trajectory().stop.counts]
