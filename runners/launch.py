"""The work behind the verbs: build the experiment a config names and run it inside a run folder."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from runners.compose import change, compose, draft
from runners.errors import RunFailed, UserError
from runners.experiment import Experiment
from runners.run import Run
from runners.types import Metrics


def train(overrides: Sequence[str], name: str | None = None) -> tuple[Path, Metrics]:
    """Train what the overrides describe, in a new run folder.

    Returns:
        The run folder, and what the experiment reports at the end.

    Raises:
        UserError: if the config, or something built from it, is refused.
        RunFailed: if the run stops for any other reason; the traceback is in the run folder.
        KeyboardInterrupt: after the run has saved; its message says how to go on.
    """
    cfg = compose(overrides)
    with _inside(_create(cfg, "train", overrides, name)) as run:
        return run.path, build(cfg).train(run)


def evaluate(overrides: Sequence[str], name: str | None = None) -> tuple[Path, Metrics]:
    """Evaluate a run (`run=PATH|latest`, `checkpoint=best|last|N`), or the untrained agent of an experiment.

    The result is written into the run, or into a new run folder for an untrained agent. Raises as `train` does.
    """
    own, rest = _split(overrides)
    if "run" in own:
        run = _open(own["run"], rest)
        cfg = change(run.config, [o for o in rest if not o.startswith("runs_dir=")], like=_overrides(run))
        with _explained(run):
            return run.path, build(cfg).evaluate(run, own.get("checkpoint", "last"))
    if "checkpoint" in own:
        raise UserError("checkpoint= belongs to a run; name it with run=latest or run=PATH")
    if not rest:
        raise UserError("nothing to evaluate; name a run with run=latest or run=PATH, or an experiment with +exp=NAME")
    cfg = compose(rest)
    with _inside(_create(cfg, "eval", rest, name)) as run:
        return run.path, build(cfg).evaluate(run, "none")


def resume(overrides: Sequence[str]) -> tuple[Path, Metrics]:
    """Go on with a run (`run=PATH|latest`) from its last checkpoint or from `checkpoint=N`. Raises as `train` does."""
    own, rest = _split(overrides)
    rest = [o for o in rest if not o.startswith("runs_dir=")]
    if "run" not in own:
        raise UserError("which run? name it with run=latest or run=PATH")
    if rest:
        raise UserError(f"{rest[0]!r} would change the run's config; resume keeps it, a changed one is a new agentlab train")
    run = _open(own["run"], overrides)
    with _inside(run):
        return run.path, build(run.config).train(run)


def build(cfg: DictConfig) -> Experiment:
    """The experiment a composed config names."""
    experiment: Experiment = instantiate(cfg.experiment, cfg=cfg, _recursive_=False)
    return experiment


def call(config: str, overrides: Sequence[str] = (), **arguments: Any) -> Any:
    """Call the `_target_` of one node of conf, as `agentlab phone serve` does with `phone/sim`.

    Args:
        config: `GROUP/CHOICE`.
        overrides: `key=value` for keys of that node.
        arguments: handed over beside the node's own.

    Raises:
        UserError: if an override is wrong, or the target refuses what it is given.
    """
    key = config.rpartition("/")[0].replace("/", ".")
    cfg = compose([re.sub(r"^([+~]*)", rf"\g<1>{key}.", override) for override in overrides], config=config)
    with _building():
        return instantiate(OmegaConf.select(cfg, key), **arguments)


def _create(cfg: DictConfig, verb: str, overrides: Sequence[str], name: str | None) -> Run:
    return Run.create(cfg, Path(cfg.runs_dir), ["agentlab", verb, *overrides], name=name)


def _open(where: str, overrides: Sequence[str]) -> Run:
    root = Path(draft([o for o in overrides if o.startswith("runs_dir=")]).runs_dir)
    if where == "latest":
        return Run.latest(root)
    path = Path(where).expanduser()
    return Run.open(path if path.exists() or not (root / where).exists() else root / where)


def _overrides(run: Run) -> list[str]:
    """What the run's config was composed from."""
    return list(run.manifest["command"][2:])


def _split(overrides: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """`run=` and `checkpoint=`, which are the verb's own, and the overrides proper."""
    own = dict(o.split("=", 1) for o in overrides if o.startswith(("run=", "checkpoint=")))
    return own, [o for o in overrides if not o.startswith(("run=", "checkpoint="))]


@contextmanager
def _inside(run: Run) -> Iterator[Run]:
    with _explained(run), run:
        yield run


@contextmanager
def _explained(run: Run) -> Iterator[None]:
    """Faults of a run as the sentence its user gets."""
    try:
        with _building():
            yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; go on with: agentlab resume run={run.path}") from None
    except (UserError, RunFailed):
        raise
    except Exception as fault:
        raise RunFailed(f"the run failed: {describe(fault)} (traceback: {run.path / 'error.txt'})") from fault


@contextmanager
def _building() -> Iterator[None]:
    """Hydra wraps what a `_target_` raises; a refused value or a wrong name in it is the user's to mend."""
    try:
        yield
    except InstantiationException as fault:
        cause = fault.__cause__
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, UserError | RunFailed):
            raise cause from fault
        if isinstance(cause, ValueError | TypeError | ImportError | AttributeError) or cause is None:
            raise UserError(describe(cause or fault)) from fault
        raise


def describe(fault: BaseException) -> str:
    """A fault in one line; its type is named unless its message is a sentence written for the user."""
    text = " ".join(str(fault).split())
    return text if isinstance(fault, UserError | RunFailed | ValueError) and text else f"{type(fault).__name__}: {text}"
