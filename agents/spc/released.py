"""Take over the settings files of the released SPC code (`ltzheng/CurriculumMARL`), as overrides."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from agentlab_runner.runners.config.listing import choices
from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.errors import UserError

log = logging.getLogger(__name__)

_TEACHERS: Mapping[str, str] = {
    "uniform": "uniform",
    "bandit": "exp3_context",
    "bandit-no-context": "exp3",
    "alp-gmm": "alp_gmm",
    "vacl": "vacl",
}
_OF_TEACHERS: Mapping[str, Mapping[str, str]] = {
    "uniform": {},
    "bandit": {"num_contexts": "num_contexts", "gamma": "alpha", "min_rew": "min_score", "max_rew": "max_score"},
    "bandit-no-context": {"gamma": "alpha", "min_rew": "min_score", "max_rew": "max_score"},
    "alp-gmm": {"fit_rate": "fit_every", "alp_window_size": "window", "random_task_ratio": "alpha"},
    "vacl": {
        "solved_prop": "replay", "buffer_length": "buffer", "reproduction_num": "reproduction", "epsilon": "epsilon",
        "delta": "delta", "h": "kernel", "Rmin": "active_above", "Rmax": "solved_above", "topk": "topk",
        "num_initial_tasks": "initial",
    },
}  # fmt: skip
"""By released name: what its keys are called in conf/curriculum."""
_SETTLED: Mapping[str, Any] = {
    "config.teacher_config.gmm_fitness_func": "aic",
    "config.teacher_config.warm_start": False,
    "config.teacher_config.nb_em_init": 1,
    "config.teacher_config.initial_dist": None,
    "config.teacher_config.del_switch": "novelty",
    "config.env_config.hrl_config.context_type": "discrete",
    "config.evaluation_duration_unit": "episodes",
    "config.framework": "torch",
}
"""Keys that have no counterpart because what they say here is what is done; another value is left out, and named."""
_ALWAYS = {"exp3_context": ("context=last", "stable_ids=false"), "exp3": (), "uniform": (), "alp_gmm": (), "vacl": ()}
"""What the released code does where ours can do otherwise."""
_ELSEWHERE = (
    "local_dir", "checkpoint_at_end", "config.callbacks", "config.num_workers", "config.num_cpus_for_driver",
    "config.num_envs_per_worker", "config.num_cpus_per_worker", "config.num_gpus", "config.num_gpus_per_worker",
    "config.evaluation_num_workers", "config.evaluation_parallel_to_training", "config.disable_env_checking",
    "config.multiagent", "config.evaluation_config.env_config.in_evaluation", "config.env_config.in_evaluation",
)  # fmt: skip
"""Machines, folders and Ray's own affairs: said by the command line here, so nothing is lost."""
_NETWORK: Mapping[str, str] = {"num_heads": "heads", "head_dim": "head_dim"}
_TRAIN_BATCH = 4000
"""Environment steps of an iteration; RLlib 2.0's PPO, which the released files leave as it is."""


def convert(path: str | Path, env: str | None = None) -> list[str]:
    """Overrides for `agentlab train` that say what a released YAML file says.

    The games themselves are not here, so `env` names what stands in for them, and what the file says of the game goes
    unless it is the size of a team. Whatever else has no counterpart is named in a warning, all of it.

    Raises:
        UserError: if the file cannot be read, holds other than one experiment, or names an algorithm or a teacher that
            the release does not have.
    """
    name, content = _read(Path(path))
    flat = dict(_flatten(content))
    reader = _Reader(flat)
    overrides = [*_student(reader), *_teacher(reader), *_course(reader)]
    if env is not None:
        overrides.append(f"env={env}")
    left = reader.left()
    if left:
        log.warning("%s (%s): left out, because nothing here corresponds to it: %s", path, name, ", ".join(left))
    return overrides


class _Reader:
    """Settings by dotted key, and which of them have been read."""

    def __init__(self, flat: Mapping[str, Any]) -> None:
        self.flat = flat
        self._read = {key for key, value in _SETTLED.items() if key in flat and flat[key] == value}

    def get(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        return self.flat.get(key, default)

    def has(self, key: str) -> bool:
        return self.flat.get(key) is not None

    def override(self, key: str, ours: str) -> list[str]:
        return [f"{ours}={_text(self.get(key))}"] if self.has(key) else []

    def left(self) -> list[str]:
        return [key for key in self.flat if key not in self._read and not _begins(key, _ELSEWHERE)]


def _student(reader: _Reader) -> list[str]:
    """Which agent learns: `PPO[-comm|-hrl|-context][-curriculum]`."""
    run = str(reader.get("run", ""))
    parts = run.split("-")
    kind = [part for part in parts[1:] if part != "curriculum"]
    if parts[0] != "PPO" or kind not in ([], ["comm"], ["hrl"], ["context"]):
        raise UserError(f"run: {run or 'nothing'} is no algorithm of the release; it has PPO[-comm|-hrl][-curriculum]")
    if ("curriculum" in parts) != _taught(reader):
        raise UserError(f"run: {run} and teacher_config do not go together; name a teacher with PPO-...-curriculum")
    agent = {"comm": "team_ppo", "hrl": "hierarchy"}.get(kind[0] if kind else "", "ippo")
    if agent not in choices("agent"):
        log.warning("run: %s would be agent=%s, which is not installed here; it is left out", run, agent)
        return []
    found = [f"agent={agent}", "rollout=batched"]
    network = "agent.high" if agent == "hierarchy" else "agent"
    if agent == "hierarchy":
        found += reader.override("config.env_config.hrl_config.context_size", "agent.skills")
        found += reader.override("config.env_config.hrl_config.high_level_interval", "agent.interval")
    elif reader.flat.get("config.teacher_config.name") == "bandit":
        found.append("agent.context_size=32")  # the release's imitation GRU, whatever the network
    for place in ("config.high_level_policy_config.model", "config.model"):
        custom = f"{place}.custom_model_config"
        sizes = reader.get(f"{custom}.encoder_hidden_layers")
        if isinstance(sizes, list) and sizes and all(size == sizes[0] for size in sizes):
            found.append(f"{network}.hidden={_text(sizes[0])}")
            reader.get(f"{custom}.decoder_hidden_layers")
        for theirs, ours in _NETWORK.items():
            found += reader.override(f"{custom}.{theirs}", f"{network}.{ours}")
        if reader.has(f"{place}.custom_model"):
            reader.get(f"{place}.custom_model")
            reader.get(f"{place}.custom_action_dist")
    return found


def _taught(reader: _Reader) -> bool:
    return any(_begins(key, ("config.teacher_config",)) for key in reader.flat)


def _teacher(reader: _Reader) -> list[str]:
    if not _taught(reader):
        return ["curriculum=none"]
    released = str(reader.get("config.teacher_config.name", ""))
    if released not in _TEACHERS:
        known = ", ".join(_TEACHERS)
        raise UserError(f"teacher_config.name is {released!r}{did_you_mean(released, _TEACHERS)}; expected {known}")
    ours = _TEACHERS[released]
    found = [f"curriculum={ours}", *(f"curriculum.{one}" for one in _ALWAYS[ours])]
    for theirs, name in _OF_TEACHERS[released].items():
        found += reader.override(f"config.teacher_config.{theirs}", f"curriculum.{name}")
    if "min_rew" in _OF_TEACHERS[released]:
        found.append("curriculum.score=return")
        found += reader.override("config.evaluation_interval", "curriculum.every")
        found += reader.override("config.evaluation_duration", "curriculum.target_episodes")
    if released == "bandit-no-context":
        reader.get("config.teacher_config.num_contexts")  # stands in released files, and goes nowhere
    if released == "alp-gmm":
        first = reader.get("config.teacher_config.nb_bootstrap") or reader.flat.get("config.teacher_config.fit_rate")
        found += [f"curriculum.bootstrap={_text(first)}"] if first else []
    return found


def _course(reader: _Reader) -> list[str]:
    steps = reader.get("stop.timesteps_total")
    found = []
    if isinstance(steps, int) and steps > 0:
        found += [f"total_env_steps={steps}", f"total_iterations={-(-steps // _TRAIN_BATCH)}"]
    for theirs, ours in {
        "config.seed": "seed", "checkpoint_freq": "checkpoint.every", "config.evaluation_interval": "eval.every",
        "config.evaluation_duration": "eval.episodes",
    }.items():  # fmt: skip
        found += reader.override(theirs, ours)
    return found


def _read(path: Path) -> tuple[str, Mapping[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as fault:
        reason = " ".join(str(fault).split())
        raise UserError(f"{path} cannot be read as YAML ({reason}); give a settings file of the release") from None
    named = list(content.items()) if isinstance(content, dict) else []
    if len(named) != 1 or not isinstance(named[0][1], dict) or not isinstance(named[0][1].get("config"), dict):
        raise UserError(f"{path} is not one experiment by name with its config; give a settings file of the release")
    return str(named[0][0]), named[0][1]


def _flatten(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its dotted key; lists are values."""
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from _flatten(value, f"{path}.{name}" if path else str(name))
    else:
        yield path, node


def _begins(key: str, places: tuple[str, ...]) -> bool:
    return any(key == place or key.startswith(f"{place}.") for place in places)


def _text(value: Any) -> str:
    """In Hydra's override grammar; text is quoted, since it could mean anything else."""
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
