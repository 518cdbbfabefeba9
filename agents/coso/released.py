"""Take over what the released DigiRL and CoSo code left behind: its YAML settings and its trajectory files."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.tensors import MoreThanTensors, read_tensors
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory

log = logging.getLogger(__name__)

_SAME: Mapping[str, str] = {
    "task_set": "env.task_set",
    "task_split": "env.split",
    "eval_sample_mode": "eval.env.sampling",
    "max_steps": "env.horizon",
    "policy_lm": "model.name",
    "temperature": "model.temperature",
    "max_new_tokens": "model.max_new_tokens",
    "capacity": "agent.replay_capacity",
    "epochs": "agent.critic_steps",
    "trajectory_critic_epochs": "agent.instruction_critic_steps",
    "actor_epochs": "agent.actor_steps",
    "batch_size": "agent.micro_batch",
    "warmup_iter": "agent.warmup_iterations",
    "lm_lr": "agent.lr",
    "critic_lr": "agent.critic_lr",
    "gamma": "agent.gamma",
    "entropy_coeff": "agent.alpha",
    "causal_lr": "agent.scm.lr",
    "causal_pretrain": "agent.scm.pretrain_rounds",
    "causal_epochs": "agent.scm.rounds",
    "offline_actor_iterations": "agent.offline.actor_rounds",
    "offline_critic_iterations": "agent.offline.critic_rounds",
    "offline_trajectory_critic_iterations": "agent.offline.instruction_critic_rounds",
    "rollout_size": "rollout_size",
    "bsize": "env.num_envs",
    "train_iterations": "total_iterations",
    "save_freq": "checkpoint.every",
    "seed": "seed",
}
"""Keys that only changed their name."""

_ELSEWHERE = frozenset(
    [
        "huggingface_token",
        "wandb_key",
        "gemini_key",
        "entity_name",
        "project_name",
        "use_wandb",
        "record",
        "save_path",
        "run_name",
        "task_mode",
        "android_avd_home",
        "emulator_path",
        "adb_path",
        "cache_dir",
        "assets_path",
        "eval_iterations",
        "tau",
        "do_sample",
        "agent_name",
        "defaults",
        "worker_temp_path",
        "worker_run_path",
        "worker_ips",
        "worker_username",
    ]
)
"""Accounts, folders and machines: said by the environment or the command line here, so nothing is lost."""

_SPECIAL = frozenset(
    [
        "max_grad_norm",
        "grad_accum_steps",
        "use_entropy",
        "use_causal",
        "train_algorithm",
        "parallel",
        "use_lora",
        "critic_lm",
        "train_mode",
        "offline_data_path",
    ]
)


def convert(path: str | Path) -> list[str]:
    """Overrides for `agentlab train` that say what a released YAML file says.

    They begin with `agent=coso_released`, which holds the numbers the release keeps in its code, and without a warm
    start, since its policies know the action format. Files beside this one that its `defaults` list names are read
    first. Keys without a counterpart are named in a warning.

    Raises:
        UserError: if the file cannot be read or is no mapping of settings.
    """
    settings = _read(Path(path))
    overrides = ["agent=coso_released", "warm_start=null"]
    overrides += [f"{_SAME[key]}={_text(value)}" for key, value in settings.items() if key in _SAME]
    for key, make in _RULES.items():
        if key in settings:
            overrides += make(settings)
    unknown = sorted(set(settings) - set(_SAME) - _ELSEWHERE - _SPECIAL)
    if unknown:
        log.warning("%s: left out, because nothing here corresponds to it: %s", path, ", ".join(unknown))
    return overrides


def _entropy(settings: Mapping[str, Any]) -> list[str]:
    """The release adds entropy with `use_entropy` and weighs it with `use_causal`."""
    if not settings.get("use_entropy"):
        return ["agent.entropy=none"]
    return [f"agent.entropy={'causal' if settings.get('use_causal') else 'uniform'}"]


def _batch(settings: Mapping[str, Any]) -> list[str]:
    return [f"agent.batch_size={int(settings.get('batch_size', 4)) * int(settings['grad_accum_steps'])}"]


def _algorithm(settings: Mapping[str, Any]) -> list[str]:
    known = {"digirl": "digirl", "filteredbc": "filtered_bc"}
    if settings["train_algorithm"] not in known:
        log.warning("train_algorithm %r trains nothing; it is left out", settings["train_algorithm"])
        return []
    return [f"agent.algorithm={known[settings['train_algorithm']]}"]


def _clip(settings: Mapping[str, Any]) -> list[str]:
    names = ("max_grad_norm", "critic_max_grad_norm", "scm.max_grad_norm")
    return [f"agent.{name}={_text(settings['max_grad_norm'])}" for name in names]


def _parallel(settings: Mapping[str, Any]) -> list[str]:
    if settings["parallel"] != "single":
        log.warning("parallel: %s is said with trainer=ddp here; it is left out", settings["parallel"])
    return []


def _lora(settings: Mapping[str, Any]) -> list[str]:
    return [] if settings["use_lora"] else ["model.lora=null"]


def _critic_lm(settings: Mapping[str, Any]) -> list[str]:
    log.warning("critic_lm: %s is left out; the critics read the policy's own frozen features", settings["critic_lm"])
    return []


def _phases(settings: Mapping[str, Any]) -> list[str]:
    """`offline`, `online` or `off2on`: which of the two phases there are."""
    mode, data = settings["train_mode"], settings.get("offline_data_path")
    if mode == "online":
        return []
    if not data:
        raise UserError(f"train_mode: {mode} learns from a file, and offline_data_path names none; add it")
    source = "{_target_: agentlab_runner.agents.coso.released.load_trajectories, path: " + _text(data) + "}"
    return [f"offline={{source: {source}}}", *(["total_iterations=0"] if mode == "offline" else [])]


_RULES: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "max_grad_norm": _clip,
    "grad_accum_steps": _batch,
    "use_entropy": _entropy,
    "train_algorithm": _algorithm,
    "parallel": _parallel,
    "use_lora": _lora,
    "critic_lm": _critic_lm,
    "train_mode": _phases,
}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        reason = " ".join(str(fault).split())
        raise UserError(f"{path} cannot be read as YAML ({reason}); give a settings file of the release") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is no mapping of settings; give a settings file of the released code")
    merged: dict[str, Any] = {}
    for name in content.get("defaults") or []:
        if isinstance(name, str) and name != "_self_" and (path.parent / f"{name}.yaml").exists():
            merged |= _read(path.parent / f"{name}.yaml")
    return merged | {str(key): value for key, value in content.items()}


def _text(value: Any) -> str:
    """In Hydra's override grammar; text that could mean anything else is quoted."""
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    text = str(value)
    plain = text and all(c.isalnum() or c in "_-./" for c in text)
    return text if plain else "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def load_trajectories(
    path: str | Path,
    *,
    images: str | Path | None = None,
    max_side: int = 570,
    features_only: bool = False,
    allow_pickle: bool = False,
) -> list[Trajectory]:
    """Episodes of a released trajectory file (`*.pt`: a list of episodes, each a list of step dicts).

    Args:
        images: folder with the screenshots; each is looked up by the file name of the step's `image_path`. None takes
            the paths as they stand in the file.
        max_side: screenshots are reduced so that their longer side has at most this many pixels.
        features_only: take steps without a screenshot; their observation then has `image_features` [1408] and no
            `image`, which suits analysis but no pixel policy.
        allow_pickle: load a file that holds more than tensors, arrays and plain values. Such a file can run any program
            on this machine, so only say so for files you made.

    Returns:
        Observation text without the end marker; the release keeps no last screenshot, so the final observation repeats
        the last step's image.

    Raises:
        UserError: if the file is damaged, needs `allow_pickle`, is of another shape, or a screenshot is missing.
    """
    path = Path(path)
    content = _load(path, allow_pickle)
    if not isinstance(content, list) or not all(
        isinstance(e, list) and all(isinstance(s, dict) for s in e) for e in content
    ):
        raise UserError(f"{path} holds no list of episodes; give a trajectory file of the released code")
    folder = None if images is None else Path(images)
    trajectories = []
    for number, episode in enumerate(content):
        if not episode:
            continue
        try:
            trajectories.append(_trajectory(episode, folder, max_side, features_only))
        except KeyError as missing:
            raise UserError(
                f"{path}: episode {number} has a step without {missing}; the released format needs it"
            ) from None
        except FileNotFoundError as lost:
            raise UserError(
                f"{path}: episode {number} shows {lost.filename}, which is not there; name their folder with "
                "images=…, or pass features_only=true"
            ) from None
    return trajectories


def _load(path: Path, allow_pickle: bool) -> Any:
    safe: list[Any] = [
        np.ndarray,
        np.dtype,
        *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u1", "?", "f2")),
    ]
    array = np.array([0.0])
    safe += [array.__reduce__()[0], np.float64(0).__reduce__()[0]]  # numpy moved these two from one module to another
    if not path.is_file():
        raise UserError(f"there is no trajectory file {path}; give the path of a *.pt file")
    try:
        if allow_pickle:
            return torch.load(path, map_location="cpu", weights_only=False)
        with torch.serialization.safe_globals(safe):
            return read_tensors(path)
    except MoreThanTensors:
        raise UserError(
            f"{path} holds Python objects beyond tensors, arrays and plain values, which loading would run; if you "
            "trust its maker, pass allow_pickle=true"
        ) from None
    except UserError as fault:
        raise UserError(f"{fault} or no trajectory file; download or record it again") from None
    except Exception as fault:  # what a file that is run may raise
        reason = str(fault).split("\n")[0][:120]
        raise UserError(f"{path} is damaged or no trajectory file ({reason}); download or record it again") from None


def _trajectory(episode: list[dict[str, Any]], folder: Path | None, max_side: int, features_only: bool) -> Trajectory:
    seen = [_picture(step, folder, max_side, features_only) for step in episode]
    steps = tuple(
        Step({"text": _prompt(step["observation"]), **shown}, Decision(str(step["action"])), float(step["reward"]))
        for step, shown in zip(episode, seen, strict=True)
    )
    last = episode[-1]
    success = sum(step.reward for step in steps) > 0
    return Trajectory(
        steps,
        {"text": _prompt(last["next_observation"]), **seen[-1]},
        StopReason.SUCCESS if success else StopReason.HORIZON,
        success,
        seed=0,
        task="imported",
        goal=str(last.get("task", "")),
    )


def _prompt(text: Any) -> str:
    return str(text).removesuffix("</s>")


def _picture(
    step: Mapping[str, Any], folder: Path | None, max_side: int, features_only: bool
) -> dict[str, NDArray[Any]]:
    path = Path(str(step["image_path"]))
    if folder is not None:
        path = folder / path.name
    try:
        with Image.open(path) as image:
            screen = image.convert("RGB")
            screen.thumbnail((max_side, max_side))
            return {"image": np.asarray(screen)}
    except FileNotFoundError:
        if not features_only:
            raise
        return {"image_features": np.asarray(step["image_features"], dtype=np.float32)}
