"""What an agent decides follows from observations, its state and the generators, and from nothing else."""

from collections.abc import Sequence

from agentlab_runner.runners.check.agents import LIVE, Agents
from agentlab_runner.runners.check.finding import Broken, NotAsked
from agentlab_runner.runners.check.trace import digest, short
from agentlab_runner.runners.types import Trajectory


def deterministic(one: Agents) -> str:
    """The mode is the mode, whatever the generators say."""
    first, second = one.mode[1], one.play(one.fresh(), True, seed=2)
    mend = "asked for the most likely action, decided otherwise the second time; draw nothing then"
    compare(one, first, second, mend)
    return f"{_count(first)} decisions twice"


def sampled(one: Agents) -> str:
    """All chance comes from Python's, NumPy's and torch's global generators, which checkpoints keep."""
    first, second = one.play(one.fresh(), False, seed=1), one.play(one.fresh(), False, seed=1)
    mend = "drew otherwise from generators seeded alike; draw from the global ones of Python, NumPy and torch"
    compare(one, first, second, mend)
    return f"{_count(first)} decisions twice"


def batch(one: Agents) -> str:
    """Neighbours in a batch make no difference."""
    if one.cfg.env.num_envs < 2:
        raise NotAsked("one environment is live at a time; give env.num_envs=3")
    together, alone = one.mode[1], one.play(one.fresh(), True, live=1, seed=1)
    mend = "decided otherwise for the same observation beside others; pad and mask so that a row stands by itself"
    compare(one, together, alone, mend)
    return f"{_count(together)} decisions alike, {min(LIVE, one.cfg.env.num_envs)} at a time and one by one"


def alone(one: Agents) -> str:
    """Copies of the observations are enough: no environment is there any more."""
    noted, other, count = one.mode[0], one.fresh(), 0
    if noted.changed:
        raise Broken(f"{one.name}.act changed {noted.changed!r} of an observation, which episodes keep; work on a copy")
    for verb, what in noted.asked:
        if verb != "act":
            getattr(other, verb)(what)
            continue
        observations, decisions = what
        try:
            answers = other.act(observations, True)
        except Exception as fault:
            raise Broken(
                f"{one.name}.act raised {type(fault).__name__} where there were observations alone: {fault}; decide by "
                "what they hold"
            ) from fault
        for before, now in zip(decisions, answers, strict=True):
            if digest([before.action, before.give_up]) != digest([now.action, now.give_up]):
                raise Broken(
                    f"{one.name}.act decided {short(before.action)} while the environment was there and "
                    f"{short(now.action)} by the observation alone; decide by what it holds"
                )
            count += 1
    return f"{count} decisions by copies of observations, without an environment"


def compare(one: Agents, first: Sequence[Trajectory], second: Sequence[Trajectory], mend: str) -> None:
    for number, (before, now) in enumerate(zip(first, second, strict=True)):
        for step, (a, b) in enumerate(zip(before.steps, now.steps, strict=False)):
            if digest([a.decision.action, a.decision.give_up]) == digest([b.decision.action, b.decision.give_up]):
                continue
            said = f"{short(a.decision.action)} and {short(b.decision.action)}"
            raise Broken(f"{one.name}.act {mend} (episode {number}, step {step + 1}: {said})")


def _count(played: Sequence[Trajectory]) -> int:
    return sum(len(trajectory.steps) for trajectory in played)
