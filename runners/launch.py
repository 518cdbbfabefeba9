"""The work behind the verbs: build the experiment a config names and run it inside a run folder."""

import json
import logging
import re
import shutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from agentlab_runner.runners.config.compose import change, chosen, compose, draft, normalise, parse
from agentlab_runner.runners.config.extras import advised
from agentlab_runner.runners.config.identity import HARMLESS, is_under
from agentlab_runner.runners.config.listing import choices, is_group
from agentlab_runner.runners.config.named import check_named
from agentlab_runner.runners.config.older import choices_in, complete
from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.config.targets import check_target, check_targets
from agentlab_runner.runners.config.validate import told
from agentlab_runner.runners.doctor import refuse_unmet
from agentlab_runner.runners.errors import RolloutLost, RunFailed, UnknownKey, Unreachable, UserError
from agentlab_runner.runners.experiment import Experiment
from agentlab_runner.runners.files.names import bare, label
from agentlab_runner.runners.online.origin import pinned
from agentlab_runner.runners.processes.crew import crew, follow, follow_until_abandoned, follows
from agentlab_runner.runners.processes.threads import settle, wait
from agentlab_runner.runners.run.apart import apart, evaluating
from agentlab_runner.runners.run.begun import begun_here
from agentlab_runner.runners.run.config_file import as_plain, check_unedited
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.lookup import folder_named, has_begun
from agentlab_runner.runners.run.signals import requeue
from agentlab_runner.runners.types import Metrics

log = logging.getLogger(__name__)

_OWN = ("run=", "checkpoint=", "runs_dir=")
"""What `eval` and `resume` take beside overrides."""


def split(overrides: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What says which run, by name, and the overrides of its config."""
    own = dict(override.split("=", 1) for override in overrides if override.startswith(_OWN))
    return own, [override for override in overrides if not override.startswith(_OWN)]


def find_run(own: Mapping[str, str]) -> Run:
    """The run named by `run=`, to look at: `latest`, a folder, or a folder's name under `runs_dir`.

    Raises:
        UserError: if there is none.
    """
    return Run.open(run_folder(own))


def run_folder(own: Mapping[str, str]) -> Path:
    """The folder named by `run=`, as `open_run` reads it; what it holds is not looked at."""
    return folder_named(own["run"], Path(own.get("runs_dir") or draft([]).runs_dir).expanduser())


def run_folders(named: Sequence[str]) -> list[Path]:
    """Run and sweep folders as `report` and `compare` take them: paths, and `run=` as the other verbs have it.

    Raises:
        UserError: if there is no latest run, or something else is given as KEY=VALUE.
    """
    root, folders = split([one for one in named if one.startswith("runs_dir=")])[0], []
    for one in named:
        if one.startswith("run="):
            folders.append(run_folder(root | {"run": one.removeprefix("run=")}))
        elif (option := re.match(r"(\w+)=", one)) and option[1] != "runs_dir" and not Path(one).exists():
            raise UnknownKey(option[1], f"{one} is no folder; name runs by their folders, run=latest or run=PATH")
        elif not one.startswith("runs_dir="):
            folders.append(Path(one))
    return folders


def open_run(own: Mapping[str, str], rest: Sequence[str] = (), trust: str | None = None) -> Run:
    """The run named by `run=`, to work with: what its config says is going to be built.

    Args:
        own, rest: what `split` gives.
        trust: the run's folder or its name, if the user answers for whoever made it.

    Raises:
        UserError: if there is none, its config was edited, or it was not begun on this machine, names what no config
            here names and is not trusted.
    """
    run = find_run(own)
    check_unedited(run.path, run.config, run.manifest)
    if trust is None:
        if begun_here(run.path, run.config):
            return run
        given = [_key(override) for override in rest]
        check_named(as_plain(run.config), str(run.path / "config.yaml"), f"--trust {run.path}", given)
    elif trust != run.path.name and Path(trust).expanduser().resolve() != run.path.resolve():
        raise UserError(f"--trust names {trust}, but the run is {run.path}; name the run itself, if you trust it")
    return run


def _key(override: str) -> str:
    """The dotted key an override sets."""
    (parsed,) = parse(normalise([override]))
    return str(parsed.package or parsed.key_or_group.replace("/", "."))


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
    if follows():
        follow(build)
    return begin(cfg, overrides, name)


def begin(cfg: DictConfig, overrides: Sequence[str], name: str | None = None) -> tuple[Path, Metrics]:
    """Train a composed config in a new run folder, of which `overrides` say what it was composed from.

    Returns and raises as `train`.
    """
    with _new(cfg, "train", overrides, name) as run:
        return run.path, train_in(run, run.config)


def evaluate(overrides: Sequence[str], name: str | None = None, trust: str | None = None) -> tuple[Path, Metrics]:
    """Evaluate a run (`run=PATH|latest`, `checkpoint=last|best|N`), or the untrained agent of an experiment.

    The result is written into the run, called `name` if it is given, or into a new run folder of that name for an
    untrained agent. An experiment that learns nothing is begun as `train` does. Raises as that.
    """
    own, rest = split(overrides)
    if "run" in own:
        run = open_run(own, rest, trust)
        cfg, _ = _changed(run, rest)
        if follows():
            follow(build)
        otherwise = [line for line in rest if not is_under(_key(line), HARMLESS)]
        with _explained(run, "eval/error.txt"), evaluating(run, cfg.get("logger"), sorted(otherwise), name):
            return run.path, _evaluate_in(run, cfg, own.get("checkpoint", "last"))
    if trust is not None:
        raise UserError("--trust belongs to a run; name the run with run=latest or run=PATH")
    if "checkpoint" in own:
        raise UserError("checkpoint= belongs to a run; name the run with run=latest or run=PATH")
    if not rest:
        raise UserError("nothing to evaluate; name a run with run=latest or run=PATH, or an experiment with +exp=NAME")
    cfg = compose(overrides)
    if follows():
        follow(build)
    with _new(cfg, "eval", overrides, name) as run:
        if not getattr(build(run.config), "LEARNS", True):
            return run.path, train_in(run, run.config)
        with apart(run):
            return run.path, _evaluate_in(run, run.config, "none")


def resume(overrides: Sequence[str], trust: str | None = None) -> tuple[Path, Metrics]:
    """Go on with a run (`run=PATH|latest`) from its last checkpoint or `checkpoint=N`, or anew if it never saved one.

    Overrides that do not change what is computed are taken, and so are a larger `total_iterations`, keys that the run
    is older than and those that its experiment names in `MAY_CHANGE`. Raises as `train` and `open_run`.
    """
    own, rest = split(overrides)
    if "run" not in own:
        raise UserError("which run is to go on? name it with run=latest or run=PATH")
    run = open_run(own, rest, trust)
    if follows():
        follow(build)
    if run.status == "running":
        raise UserError(f"{run.path} is still running; stop it before it can be resumed")
    run.check_checkpoints()
    cfg, absent = _changed(run, rest)
    settle_threads(cfg, run.manifest.get("threads"))
    if "checkpoint" in own:
        run.load_checkpoint(own["checkpoint"])  # refused before the folder is touched
    with building():
        allowed = [*absent, *getattr(build(cfg), "MAY_CHANGE", ())]
    run.check_config(cfg, allowed)
    run.update_config(cfg, allowed)
    with _inside(run):
        if "checkpoint" in own:
            run.rewind(own["checkpoint"])
        return run.path, train_in(run, run.config)


def train_in(run: Run, cfg: DictConfig, cores: int | None = None) -> Metrics:
    """Train inside `run`, in as many processes as the config asks for, on `cores` of this machine or on all."""
    with crew(run, cfg, "train", follower=__name__, cores=cores):
        return build(cfg).train(run)


def _evaluate_in(run: Run, cfg: DictConfig, checkpoint: str) -> Metrics:
    with crew(run, cfg, "evaluate", follower=__name__, checkpoint=checkpoint):
        return build(cfg).evaluate(run, checkpoint)


def build(cfg: DictConfig) -> Experiment:
    """The experiment a composed config names, when everything that it names is there.

    Raises:
        UserError: if something is not, or the experiment refuses the config.
    """
    check_target("experiment", cfg.experiment.get("_target_"))
    experiment: Experiment = instantiate(cfg.experiment, cfg=cfg, _recursive_=False)
    check_targets(as_plain(cfg))
    return experiment


def refuse(cfg: DictConfig) -> None:
    """Refuse what the experiment that a config names refuses, without looking for what it builds in turn.

    Raises:
        UserError: if it does.
    """
    check_target("experiment", cfg.experiment.get("_target_"))
    with building():
        instantiate(cfg.experiment, cfg=cfg, _recursive_=False)


def call(config: str, overrides: Sequence[str] = (), **arguments: Any) -> Any:
    """Call the `_target_` of one node of conf, as `agentlab phone serve` does with `phone/sim`.

    Args:
        config: `GROUP/CHOICE`.
        overrides: `key=value` for keys of that node.
        arguments: handed over beside the node's own.

    Raises:
        UserError: if an override is wrong, or the target refuses what it is given.
    """
    with building():
        node = _node(config, overrides)
        check_targets(node, config.rpartition("/")[0])
        return instantiate(node, **arguments)


def translate(kind: str, file: Path) -> list[str]:
    """The overrides equal to a released config.

    `conf/import/KIND.yaml` names the converter by `_target_`, and by `base` the experiment its overrides stand on.

    Raises:
        UserError: if there is no such converter or file, the converter refuses the file, or what it says is no config.
    """
    known = choices("import")
    if kind not in known:
        raise UserError(f"nothing imports {kind!r}{did_you_mean(kind, known)} (choices: {', '.join(known)})")
    if not file.is_file():
        raise UserError(f"{file} does not exist; name the YAML file to import")
    node = _node(f"import/{kind}")
    base = node.pop("base", None)
    check_targets(node, f"import/{kind}")
    with building():
        overrides = [*([f"+exp={base}"] if base else []), *instantiate(node, path=file)]
    compose(overrides)
    return overrides


def as_experiment(overrides: Sequence[str], purpose: str) -> str:
    """An experiment file that does what these overrides do."""
    defaults: list[Any] = []
    values = OmegaConf.create()
    for override in parse(overrides):
        group, value = override.key_or_group, override.value()
        if group == "exp":
            defaults.insert(0, value)
        elif is_group(group):
            defaults.append(f"override /{group}: {value}")
        else:
            OmegaConf.update(values, group, value)
    head = ["# @package _global_", f"# {purpose}", "defaults:", *(f"  - {line}" for line in [*defaults, "_self_"])]
    return "\n".join(head) + "\n" + OmegaConf.to_yaml(values)


def _node(config: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """One choice of conf by itself, checked, as a plain dict; `overrides` are relative to it."""
    key = config.rpartition("/")[0].replace("/", ".")
    try:
        cfg = compose([re.sub(r"^([+~]*)", rf"\g<1>{key}.", override) for override in overrides], config=config)
    except UserError as fault:
        raise UserError(str(fault).replace(f"{key}.", "")) from fault  # as the user wrote it
    node = OmegaConf.to_container(OmegaConf.select(cfg, key))
    assert isinstance(node, dict)
    return {str(name): value for name, value in node.items()}


@contextmanager
def _new(cfg: DictConfig, verb: str, overrides: Sequence[str], name: str | None) -> Iterator[Run]:
    """A new run, its folder made after everything that can be refused without one.

    What is refused later, before anything was computed, takes the folder away again: bad input leaves none, nor does a
    phone that is not there.
    """
    called = label(chosen(overrides, "exp") or "run") if name is None else bare(name)
    settle_threads(cfg)
    refuse_unmet(cfg)
    cfg = pinned(cfg)
    with building():
        build(cfg)
    run = Run.create(cfg, Path(cfg.runs_dir), ["agentlab", verb, *overrides], name=called)
    try:
        with _inside(run):
            yield run
    except (UserError, Unreachable):
        if not has_begun(run.path):
            shutil.rmtree(run.path, ignore_errors=True)
        raise


def settle_threads(cfg: DictConfig, recorded: Mapping[str, Any] | None = None) -> None:
    """Before anything imports torch, as checkpoints and experiments do; `crew` settles them for its processes again."""
    if (cfg.get("trainer") or {}).get("strategy", "single") != "single":
        wait(None)
    elif cfg.get("trainer"):
        settle(cfg, recorded=recorded)


def _changed(run: Run, rest: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """The run's config with overrides, made whole where it is older than a key; and all keys that it is older than."""
    like = choices_in(run.manifest["command"][2:])
    whole, filled, absent = complete(run.config, like)
    if filled:
        values = ", ".join(f"{key}={json.dumps(value)}" for key, value in filled.items())
        log.warning("%s is older than some keys, which are filled in: %s", run.path, values)
    return change(whole, rest, like=like, also=absent), sorted(absent)


@contextmanager
def _inside(run: Run) -> Iterator[Run]:
    with _explained(run, "error.txt"), run, building():
        yield run


@contextmanager
def _explained(run: Run, trace: str) -> Iterator[None]:
    """Faults of a run as the sentence its user gets; `trace` is the file of the run that has the whole traceback."""
    try:
        with building():
            yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted{requeue()}; go on with: agentlab resume run={run.path}") from None
    except RolloutLost as fault:
        raise RunFailed(f"{fault}; go on with: agentlab resume run={run.path}") from fault
    except (UserError, RunFailed):
        raise
    except (Exception, SystemExit) as fault:  # the latter where an environment or a library calls exit()
        run.write(trace, traceback.format_exc())
        raise RunFailed(f"the run failed: {describe(fault)} (traceback: {run.path / trace})") from fault


@contextmanager
def building() -> Iterator[None]:
    """Hydra wraps what a `_target_` raises; a refused value or a wrong name in it is the user's to mend."""
    try:
        yield
    except InstantiationException as fault:
        cause = fault.__cause__
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, ConnectionError):  # no phone, no adb: the sentence says what to do
            raise Unreachable(advised(str(cause), cause)) from fault
        if cause is None or isinstance(cause, ValueError | TypeError | ImportError):
            raise UserError(describe(cause or fault)) from fault
        raise cause from cause.__cause__  # as it came: `from fault`, whose cause it is, would make a circle


def describe(fault: BaseException) -> str:
    """A fault in one line; its type is named unless its message is a sentence written for the user."""
    if isinstance(fault, ValidationError):
        return told(fault)
    text = " ".join(str(fault).split())
    spoken = isinstance(fault, UserError | RunFailed | ValueError) and text
    return advised(text if spoken else f"{type(fault).__name__}: {text}", fault)


if __name__ == "__main__":
    follow_until_abandoned(build)
