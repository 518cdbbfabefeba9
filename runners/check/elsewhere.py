"""The same episodes in a process of its own, which draws other hashes."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from hydra.utils import instantiate

from agentlab_runner.runners.check.finding import NotAsked
from agentlab_runner.runners.check.trace import Moment, Trace, again
from agentlab_runner.runners.config.modules import find_own_modules, variable
from agentlab_runner.runners.types import Start

HASHES = "PYTHONHASHSEED"


def in_another_process(settings: Mapping[str, Any], known: Sequence[Trace]) -> list[list[Moment]]:
    """The moments of these episodes, begun and played there as they were here.

    Raises:
        NotAsked: if the environment cannot be opened a second time.
        Broken: if it raises there.
    """
    hashes = "2" if os.environ.get(HASHES) == "1" else "1"
    with variable(HASHES, hashes), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_replay, dict(settings), [(trace.start, trace.actions) for trace in known]).result()


def _replay(settings: Mapping[str, Any], known: Sequence[tuple[Start, Sequence[Any]]]) -> list[list[Moment]]:
    find_own_modules()
    try:
        env = instantiate(settings, worker=0, _convert_="all")
    except ConnectionError as fault:
        raise NotAsked(f"it cannot be opened in another process: {fault}") from fault
    try:
        return [again(env, Trace(start, list(actions))).moments for start, actions in known]
    finally:
        env.close()
