"""Code of one's own that is told how a run goes: `callbacks: [{_target_: mymodule.MyCallback}]` (docs/callbacks.md)."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig

from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.config.targets import check_target
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.processes.crew import follows
from agentlab_runner.runners.types import Metrics

if TYPE_CHECKING:
    from agentlab_runner.runners.run.folder import Run


class Callback:
    """Inherit from this and write the hooks you want.

    Hooks are called in the process that leads, where the global generators are set aside: what a hook draws changes
    nothing of what is trained. One that raises fails the run.
    """

    def on_start(self, run: "Run") -> None:
        """Training begins, or goes on: then after `load_state_dict`."""

    def on_iteration(self, run: "Run", step: int, metrics: Metrics) -> bool | None:
        """Iteration `step` was learnt from; it is evaluated, logged and saved after this. True: it is the last one."""

    def on_eval(self, run: "Run", step: int, result: Metrics) -> bool | None:
        """The agent as it stands after `step` was evaluated. True: no further iteration."""

    def on_end(self, run: "Run", status: str) -> None:
        """Training is over: `finished`, `interrupted` or `failed`."""

    def state_dict(self) -> Mapping[str, Any]:
        """What a resumed run must know: nested dicts, lists and tuples of tensors, numbers, strings and None."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave at the checkpoint from which the run goes on."""


class Callbacks:
    """Those of a config, as an experiment tells them of its run; a follower has none, and hears their answer.

    Raises:
        UserError: if a node makes something else than a `Callback`, or one with a hook that does not exist.
    """

    def __init__(self, cfg: DictConfig) -> None:
        nodes = cfg.get("callbacks") or []
        self._asked = bool(nodes)
        self._seed = int(cfg.seed)
        self._all = [] if follows() else [_made(node, f"callbacks[{number}]") for number, node in enumerate(nodes)]

    @contextmanager
    def during(self, run: "Run") -> Iterator[None]:
        """The training of `run`: begins with `on_start` and ends with `on_end`."""
        try:
            self._tell("on_start", run)
            yield
        except BaseException as error:
            try:
                self._tell("on_end", run, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            except RunFailed as second:
                error.add_note(str(second))
            raise
        self._tell("on_end", run, "finished")

    def on_iteration(self, run: "Run", step: int, metrics: Metrics) -> bool:
        """Whether one of them ends the run with this iteration; all processes ask together."""
        return self._agreed(self._tell("on_iteration", run, step, dict(metrics)))

    def on_eval(self, run: "Run", step: int, result: Metrics) -> bool:
        """Whether one of them wants no further iteration; all processes ask together."""
        return self._agreed(self._tell("on_eval", run, step, dict(result)))

    def state(self) -> list[dict[str, Any]]:
        """For a checkpoint: what each keeps."""
        return [dict(state) for state in self._tell("state_dict")]

    def restore(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Give each back what `state` held of it."""
        for callback, state in zip(self._all, states, strict=False):  # a follower has none
            self._call(callback, "load_state_dict", state)

    def _tell(self, hook: str, *arguments: Any) -> list[Any]:
        return [self._call(callback, hook, *arguments) for callback in self._all]

    def _call(self, callback: Callback, hook: str, *arguments: Any) -> Any:
        from agentlab_runner.runners.processes.rng import forked

        try:
            with forked(self._seed):
                return getattr(callback, hook)(*arguments)
        except Exception as fault:
            name = f"{type(callback).__module__}.{type(callback).__qualname__}"
            said = " ".join(f"{type(fault).__name__}: {fault}".split())
            raise RunFailed(f"the callback {name} failed in {hook}: {said}") from fault

    def _agreed(self, answers: Sequence[Any]) -> bool:
        if not self._asked:
            return False
        from agentlab_runner.runners.processes.collective import from_first

        return from_first(any(answers))


def _made(node: DictConfig, place: str) -> Callback:
    check_target(place, node._target_)
    _check_arguments(place, node)
    made = instantiate(node)
    if not isinstance(made, Callback):
        raise UserError(
            f"{place} is {node._target_}, which is no callback; inherit from {Callback.__module__}.Callback"
        )
    hooks = [name for name in dir(Callback) if name.startswith("on_")]
    for name in dir(made):
        if name.startswith("on_") and name not in hooks:
            raise UserError(f"{place} ({node._target_}) has {name}, which is no hook{did_you_mean(name, hooks)}")
    return made


def _check_arguments(place: str, node: DictConfig) -> None:
    """Whether what makes a callback takes what the node gives, nothing else being given to it."""
    try:
        takes = inspect.signature(get_object(node._target_))
    except ValueError:  # written in C
        return
    given = [str(name) for name in node if not str(name).startswith("_")]
    try:
        takes.bind(**dict.fromkeys(given))
    except TypeError as fault:
        odd = next((name for name in given if name not in takes.parameters), None)
        wrong = f"takes no {odd!r}{did_you_mean(odd, takes.parameters, quote=True)}" if odd else f"says: {fault}"
        raise UserError(f"{place} is {node._target_}, which {wrong} (it takes {takes})") from fault
