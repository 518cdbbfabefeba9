"""Seeds decide everything: in any order, in any instance, in any process."""

from collections.abc import Sequence

from agentlab_runner.runners.check.elsewhere import in_another_process
from agentlab_runner.runners.check.finding import Broken, NotAsked
from agentlab_runner.runners.check.subject import Environment
from agentlab_runner.runners.check.trace import Moment, again, difference, played
from agentlab_runner.runners.errors import Unreachable

REPLAYED = 3
"""Episodes that are played again to be compared."""
ONE_START = "one_start"
"""Of `metadata`: every episode begins alike and nothing in it is drawn."""
_MEND = "draw all chance from self.np_random after super().reset(seed=seed), and begin everything anew in reset"


def decide(one: Environment) -> str:
    """In the same instance."""
    known, last = one.random[:REPLAYED], one.random[-1]
    with one.opened() as env:
        for trace in known[::-1]:
            _compare(one, trace.moments, again(env, trace).moments, "when episodes are played in another order", _MEND)
        for trace in known:
            played(env, last.start, lambda _, number: last.actions[number], steps=1)
            _compare(one, trace.moments, again(env, trace).moments, "after an unfinished episode", _MEND)
    return f"{len(known)} episodes again, in another order and after unfinished ones"


def another_worker(one: Environment) -> str:
    try:
        with one.opened(worker=1) as env:
            for trace in one.random[:REPLAYED]:
                mend = f"{_MEND}; `worker` chooses a port or a device, no more"
                _compare(one, trace.moments, again(env, trace).moments, "in another instance, with worker=1", mend)
    except (ConnectionError, Unreachable) as fault:
        raise NotAsked(f"there is no second one here: {fault}") from fault
    return "worker=1 plays what worker=0 played"


def another_process(one: Environment) -> str:
    known = one.random[:REPLAYED]
    for trace, moments in zip(known, in_another_process(one.settings, known), strict=True):
        mend = "look for sets that are gone through in their order, hash(), times and files"
        _compare(one, trace.moments, moments, "in another process", mend)
    return "another process, with other hashes, plays the same"


def differ(one: Environment) -> str:
    if (one.declared["metadata"] or {}).get(ONE_START):
        return f"metadata[{ONE_START!r}]: every episode begins alike, and nothing is drawn"
    if len(one.starts) < 2:
        raise NotAsked("it takes two episodes; give --episodes 2")
    courses = {repr([sorted(moment.items()) for moment in trace.moments]) for trace in one.idle}
    if len(courses) == 1:
        raise Broken(
            f"{one.name}.reset gave the same episode for {len(one.starts)} seeds; draw the start from self.np_random "
            f"after super().reset(seed=seed), or say metadata[{ONE_START!r}] = True if there is but one"
        )
    return f"{len(courses)} different episodes of {len(one.starts)} seeds"


def _compare(one: Environment, known: Sequence[Moment], now: Sequence[Moment], when: str, mend: str) -> None:
    if found := difference(known, now):
        raise Broken(f"{one.name}: the same seed and actions gave another {found} {when}; {mend}")
