"""Collect episodes: many live environments, one batched decision a tick."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from hydra.utils import instantiate

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.experiment import Agent, Demonstrator, OnEpisode
from agentlab_runner.runners.frames import Frames
from agentlab_runner.runners.online.contract import begun, check, decided, reading, stepped, taken
from agentlab_runner.runners.types import Decision, Observation, Start, Step, StopReason, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.processes.trainer import Trainer

log = logging.getLogger(__name__)

TRAIN, EVAL, DEMO, OFFLINE, TARGET = range(5)
"""Names of the seed streams; the episodes of one never repeat those of another."""


def episode_seeds(seed: int, *stream: int, count: int) -> list[int]:
    """Independent seeds for the episodes of one stream (phase, iteration), a function of the counters alone.

    So no environment's random state needs to be saved: a resumed run draws the episodes it would have drawn.
    """
    return [int(word) for word in np.random.SeedSequence([seed, *stream]).generate_state(count)]


@dataclass(slots=True, eq=False)
class _Live:
    """One environment and the episode it is playing."""

    env: gymnasium.Env[Any, Any]
    begin: Start = field(default_factory=lambda: Start(-1, 0, {}))
    observation: Observation = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    frames: Frames = field(default_factory=Frames)

    def reset(self, begin: Start) -> None:
        self.begin, self.steps = begin, []
        options = dict(begin.options)
        try:
            answer = self.env.reset(seed=begin.seed, options=options)
        except ValueError as fault:
            if "task" not in options:
                raise
            raise UserError(f"the task {options['task']!r} cannot be played: {fault}") from fault
        observation, self.start = begun(self.env, answer)
        if "task" in options:
            taken(self.env, options["task"], self.start)
        self.observation = self.frames.keep(observation)

    def step(self, decision: Decision) -> Trajectory | None:
        if decision.give_up is not None:
            return self._given_up(decision, decision.give_up)
        observation, reward, terminated, truncated, info = stepped(self.env, self.env.step(decision.action))
        self.steps.append(Step(self.observation, decision, reward, info))
        self.observation = self.frames.keep(observation)
        if not (terminated or truncated):
            return None
        return ended(self.begin, self.start, self.steps, self.observation, truncated)

    def _given_up(self, decision: Decision, reason: str) -> Trajectory:
        """The agent stops: its action goes nowhere, and what the environment measured before stands."""
        said = self.steps[-1].info if self.steps else self.start
        kept = {name: said[name] for name in ("measures", "episode_return") if name in said}
        info = {"success": False, "parsed": None, "parse_failed": False, "reason": reason, **kept}
        self.steps.append(Step(self.observation, decision, 0.0, info))
        given_up = ended(self.begin, self.start, self.steps, self.observation, truncated=False)
        return replace(given_up, stop=StopReason.GAVE_UP)


def ended(
    begin: Start, start: Mapping[str, Any], steps: Sequence[Step], final: Observation, truncated: bool
) -> Trajectory:
    """An episode that is over, by what its last step says of it.

    Args:
        start: the info of `reset`.
        final: what was shown last.
    """
    info = steps[-1].info
    success = bool(info["success"])
    default = StopReason.SUCCESS if success else StopReason.HORIZON if truncated else StopReason.FAILURE
    return Trajectory(
        steps=tuple(steps),
        final_observation=final,
        stop=StopReason(info.get("stop", default)),
        success=success,
        seed=begin.seed,
        task=str(start.get("task", "")),
        goal=str(start.get("goal", "")),
        level=int(start.get("level", 0)),
        measures={name: float(value) for name, value in (info.get("measures") or {}).items()},
        reason=str(info.get("reason") or ""),
        number=begin.number,
        restart=dict(start.get("restart") or {}),
        conditions=dict(start.get("conditions") or {}),
    )


def starts_of(seeds: Sequence[int], tasks: Sequence[str] | None, group_size: int) -> list[Start]:
    """How the episodes begin that are played of these seeds.

    Raises:
        ValueError: if there is not a task for each.
    """
    if tasks is not None and len(tasks) != len(seeds):
        raise ValueError(f"{len(tasks)} tasks were proposed for {len(seeds)} seeds; propose one for each")
    starts = []
    for place, seed in enumerate(seeds):
        options = {"episode": place} if tasks is None else {"episode": place, "task": tasks[place]}
        starts += [Start(place * group_size + again, seed, options) for again in range(group_size)]
    return starts


def collect(
    agent: Agent,
    envs: Sequence[gymnasium.Env[Any, Any]],
    seeds: Sequence[int],
    *,
    tasks: Sequence[str] | None = None,
    deterministic: bool = False,
    group_size: int = 1,
    share: slice = slice(None),
    on_episode: OnEpisode | None = None,
) -> list[Trajectory]:
    """Play `group_size` episodes a seed, all from the same start, and return them in the order of `seeds`.

    Of all these episodes only those in `share` are played; an episode keeps its number. Otherwise as `play`.

    Args:
        tasks: the task of each seed by name; None leaves them to the environments.
    """
    starts = starts_of(seeds, tasks, group_size)[share]
    finished: dict[int, Trajectory] = {}
    for number, trajectory in play(agent, envs, starts, deterministic=deterministic):
        finished[number] = trajectory
        if on_episode is not None:
            on_episode(trajectory)
    return [finished[start.number] for start in starts]


def play(
    agent: Agent, envs: Sequence[gymnasium.Env[Any, Any]], starts: Sequence[Start], *, deterministic: bool = False
) -> Iterator[tuple[int, Trajectory]]:
    """Play the episodes that begin as `starts` say, and give each with its number when it is over; none is kept.

    Every tick decides for all live episodes in one call of `agent.act`; a slot whose episode ended takes the next
    start.
    Environments whose `metadata["blocking"]` is true (they wait for a device) step in threads; one whose
    `metadata["keeps_task"]` is true (it has loaded something for a task) goes on with the same task where it can.
    An environment whose reset raises ConnectionError is retired and its episode goes to another.

    Raises:
        RunFailed: when every environment has been retired.
        ValueError: if an environment or the agent breaks its promise, see runners/online/contract.py.
        UserError: if a task that is asked for by name is not played.
    """
    waiting, frames = deque(starts), Frames()
    slots = [_Live(env, frames=frames) for env in envs]
    blocking = any((env.metadata or {}).get("blocking") for env in envs)
    turns = len(slots) if any((env.metadata or {}).get("keeps_task") for env in envs) else 0
    with _mapper(len(slots) if blocking else 0) as over:
        live = _start(slots, waiting, agent, over, turns)
        while live:
            with reading(agent, live[0].env, live[0].observation):
                answer = agent.act([slot.observation for slot in live], deterministic)
            decisions = decided(agent, answer, len(live))
            outcomes = over(lambda pair: pair[0].step(pair[1]), list(zip(live, decisions, strict=True)))
            ended = {slot: outcome for slot, outcome in zip(live, outcomes, strict=True) if outcome is not None}
            agent.end(list(ended.values()))
            yield from [(slot.begin.number, trajectory) for slot, trajectory in ended.items()]
            live = [slot for slot in live if slot not in ended] + _start(list(ended), waiting, agent, over, turns)
    if waiting:
        raise RunFailed(
            f"no environment is left to play {len(waiting)} more episodes; see the warnings for each one's fault"
        )


def check_tasks(env: gymnasium.Env[Any, Any], starts: Sequence[Start]) -> None:
    """Whether an environment begins the tasks that are asked for by name, before anything is played.

    Raises:
        UserError: if it does not.
    """
    for start in starts:
        with suppress(ConnectionError):  # which playing deals with
            _Live(env).reset(start)


class Rollout:
    """The environments of one purpose (training, evaluation) in this process, and the episodes played in them.

    The processes of a trainer have an equal share each of the environments and of the episodes.

    Args:
        env: the environment's node, without `num_envs`.
        num_envs: environments in all.
        trainer: whose processes share them.

    Raises:
        UserError: if there are fewer environments than processes.
    """

    def __init__(self, env: Mapping[str, Any], num_envs: int, trainer: "Trainer") -> None:
        self._trainer = trainer
        self.envs: list[gymnasium.Env[Any, Any]] = []
        if num_envs < trainer.processes:
            raise UserError(f"{trainer.processes} processes cannot share num_envs={num_envs}; give each one or more")
        try:
            for number in range(trainer.rank, num_envs, trainer.processes):
                self.envs.append(self.make(env, number))
            self.open()
        except BaseException:
            self.close()
            raise

    def make(self, env: Mapping[str, Any], number: int) -> gymnasium.Env[Any, Any]:
        """The environment with this number."""
        made: gymnasium.Env[Any, Any] = instantiate(env, worker=number, _convert_="all")
        return made

    @property
    def tasks(self) -> Mapping[str, Mapping[str, float]]:
        """What a curriculum may choose from: `tasks` of the environment, names alone or with the numbers of each."""
        known = getattr(getattr(self.envs[0], "unwrapped", self.envs[0]), "tasks", ())
        if isinstance(known, Mapping):
            return {str(name): dict(numbers) for name, numbers in known.items()}
        return {name: {} for name in known if isinstance(name, str)} if isinstance(known, list | tuple) else {}

    def open(self) -> None:
        """Ask the environments, one for all, whether what they need beside this machine is there."""
        check(self.envs[0])

    def collect(
        self,
        agent: Agent,
        seeds: Sequence[int],
        *,
        tasks: Sequence[str] | None = None,
        deterministic: bool = False,
        group_size: int = 1,
        on_episode: OnEpisode | None = None,
    ) -> list[Trajectory]:
        """As the function `collect`; every process gets the episodes of all, and `on_episode` hears of its own."""
        from agentlab_runner.runners.processes.collective import gather  # torch, which not every run needs

        with self._trainer.apart() as (rank, count):
            own = collect(
                agent,
                self.envs,
                seeds,
                tasks=tasks,
                deterministic=deterministic,
                group_size=group_size,
                share=slice(rank, None, count),
                on_episode=on_episode,
            )
        everyones = gather(own)
        return [everyones[number % count][number // count] for number in range(len(seeds) * group_size)]

    def close(self) -> None:
        for env in self.envs:
            env.close()


def demonstrate(
    demonstrator: Demonstrator,
    env: gymnasium.Env[Any, Any],
    seeds: Sequence[int],
    on_episode: OnEpisode | None = None,
) -> list[Trajectory]:
    """Play one episode a seed with a scripted user, one after the other.

    Raises:
        UserError: if it does not play what it is shown.
    """
    slot, trajectories = _Live(env), []
    for number, seed in enumerate(seeds):
        slot.reset(Start(number, seed, {"episode": number}))
        try:
            demonstrator.begin(env, seed)
        except ValueError as fault:
            raise UserError(str(fault)) from fault
        trajectory = None
        while trajectory is None:
            trajectory = slot.step(Decision(demonstrator.decide(env)))
        trajectories.append(trajectory)
        if on_episode is not None:
            on_episode(trajectory)
    return trajectories


def replay(env: gymnasium.Env[Any, Any], episode: Trajectory, number: int) -> Trajectory | None:
    """A recorded episode, done once more from its start; None if it cannot begin here, or goes otherwise."""
    slot, played = _Live(env), None
    try:
        slot.reset(Start(number, episode.seed, dict(episode.restart) or {"task": episode.task}))
        for step in episode.steps:
            if played is not None:
                return None
            played = slot.step(Decision(step.decision.action))
    except (UserError, ValueError, TypeError, KeyError):  # options or actions that this environment does not know
        return None
    return played


def _start(
    slots: Sequence[_Live], waiting: deque[Start], agent: Agent, over: "_Over", turns: int
) -> list[_Live]:
    """Reset as many slots as there are waiting episodes; a slot that cannot be reset hands its episode to the next.

    Args:
        turns: see `_next`.
    """
    started: list[_Live] = []
    free = deque(slots)
    while waiting and free:
        ready = [free.popleft() for _ in range(min(len(free), len(waiting)))]
        batch = [(slot, _next(slot, waiting, turns)) for slot in ready]
        for (slot, episode), fault in zip(batch, over(_reset, batch), strict=True):
            if fault is None:
                started.append(slot)
            else:
                log.warning("an environment is retired: %s", fault)
                waiting.appendleft(episode)
    if started:
        agent.begin([slot.begin.number for slot in started])
    return started


def _next(slot: _Live, waiting: deque[Start], turns: int) -> Start:
    """The first waiting episode; or the first of the kind that a slot has just played, if there is one.

    Args:
        turns: 0: whichever it is. Else the environments keep what they have made ready for a task (a page, say), and of
            tasks that are played in turn every so manieth is of one kind.
    """
    own = _kind(slot.begin, turns) if turns else None
    start = next((start for start in waiting if own is not None and _kind(start, turns) == own), waiting[0])
    waiting.remove(start)
    return start


def _kind(start: Start, turns: int) -> str | int | None:
    if "task" in start.options:
        return str(start.options["task"])
    return int(start.options["episode"]) % turns if "episode" in start.options else None


def _reset(pair: tuple[_Live, Start]) -> str | None:
    slot, begin = pair
    try:
        slot.reset(begin)
    except ConnectionError as fault:
        return str(fault)
    return None


_Over = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


@contextmanager
def _mapper(threads: int) -> Iterator[_Over]:
    if not threads:
        yield lambda function, items: [function(item) for item in items]
        return
    with ThreadPoolExecutor(threads) as pool:
        yield lambda function, items: list(pool.map(function, items))
