"""Players that know nothing do not solve it."""

from agentlab_runner.runners.check.episodes import counted
from agentlab_runner.runners.check.finding import Broken, NotAsked
from agentlab_runner.runners.check.subject import Environment
from agentlab_runner.runners.check.trace import Trace
from agentlab_runner.runners.terminal.statistics import wilson_interval

CHANCE = 0.5
"""An environment is solved by chance where the whole interval of such a player lies above this."""


def idle(one: Environment) -> str:
    return _of(one, one.idle, "doing nothing")


def random(one: Environment) -> str:
    return _of(one, one.random, "acting at random")


def _of(one: Environment, traces: list[Trace], player: str) -> str:
    known = counted(traces)
    if not known:
        raise NotAsked("no episode says anything of a player")
    wins = sum(trace.success for trace in known)
    low, high = wilson_interval(wins, len(known))
    seen = f"{wins} of {len(known)} succeeded, [{low:.2f}, {high:.2f}], whose lower end may be {CHANCE:g}"
    if low > CHANCE:
        raise Broken(f"{one.name} is solved by {player}: {seen}; make the task ask for more, or success say more")
    return seen
