"""One Hydra config from overrides, checked before anything heavy is imported, faults told in one sentence."""

import copy
import json
import os
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from agentlab_runner.runners.config.fit import check_fit
from agentlab_runner.runners.config.identity import flatten
from agentlab_runner.runners.config.listing import CONF, choices, is_group, search_path
from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.config.validate import check, take_schemas, validate
from agentlab_runner.runners.errors import UnknownKey, UserError


def compose(overrides: Sequence[str], *, config: str = "config") -> DictConfig:
    """The config these overrides make: resolved, complete and valid.

    Args:
        overrides: Hydra overrides as typed (`+exp=NAME`, `agent=NAME`, `a.b=1`, `+new=1`, `++any=1`, `~gone`).
            `exp=NAME` means `+exp=NAME`.
        config: the file to start from; `phone/sim` is `conf/phone/sim.yaml`, composed under the key `phone`.

    Raises:
        UserError: if an override, a file or a value is wrong, or a value is missing.
    """
    cfg = draft(overrides, config=config)
    see = _see(overrides, config)
    missing = [key for key, value in flatten(OmegaConf.to_container(cfg)).items() if value == "???"]
    if missing:
        raise UserError(f"{missing[0]} has no value; add {missing[0]}=VALUE {see}")
    _resolve(cfg)
    if isinstance(cfg.get("runs_dir"), str):
        cfg.runs_dir = os.path.expanduser(cfg.runs_dir)
    check_fit(cfg)
    validate(cfg, see)
    _check_counts(cfg, overrides)
    return cfg


def _check_counts(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Whether a number of episodes that somebody asks for is the one that counts."""
    said = {override.key_or_group for override in parse(normalise(overrides))}
    seeds = OmegaConf.select(cfg, "eval.seeds")
    if seeds is not None and "eval.episodes" in said and "eval.seeds" not in said:
        raise UserError(
            f"eval.episodes counts nothing here, where eval.seeds is {seeds}, from which each task is played; give "
            "eval.seeds=N instead, or eval.seeds=null with it"
        )


def draft(overrides: Sequence[str], *, config: str = "config") -> DictConfig:
    """The composed config as written: interpolations kept, values unchecked, missing ones still `???`.

    Raises:
        UserError: if the overrides or the files cannot be composed.
    """
    plain = normalise(overrides)
    for override in parse(plain):
        if re.match(r"hydra[./]", override.key_or_group):
            raise UserError(f"{override.input_line!r} is a setting of sweeps; give it to agentlab sweep or claim")
        _check_choice(override)
    try:
        return _hydra(plain, config)
    except MissingConfigException as fault:
        raise _missing_file(fault, plain) from fault
    except ConfigCompositionException as fault:
        raise _not_composed(fault, plain, config) from fault
    except YAMLError as fault:
        raise UserError(f"a config file is not valid YAML: {_one_line(fault)}") from fault
    except (OSError, UnicodeError) as fault:
        raise UserError(f"a config file cannot be read: {_unreadable() or _one_line(fault)}") from fault
    except RecursionError as fault:
        raise UserError("a config file is nested too deeply; mend it") from fault
    except (HydraException, OmegaConfBaseException, ValueError) as fault:
        raise UserError(f"the config cannot be composed: {_one_line(fault)}") from fault


def check_draft(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Check what a draft says already, keys that have no value yet and what refers to them left aside.

    Raises:
        UserError: if a value is wrong.
    """
    cfg = copy.deepcopy(cfg)
    schemas = take_schemas(cfg)
    for key in [key for key in keys(cfg) if _waits(cfg, key)]:
        parent, _, name = key.rpartition(".")
        owner = OmegaConf.select(cfg, parent) if parent else cfg
        with open_dict(owner):
            del owner[name]
    _resolve(cfg)
    check(cfg, schemas, _see(overrides, "config"), partly=True)


def change(
    cfg: DictConfig, overrides: Sequence[str], like: Sequence[str], also: Collection[str] = ()
) -> DictConfig:
    """A finished config with a few values changed, as for evaluating a run otherwise than it was trained.

    Args:
        cfg: a resolved config, left as it is.
        overrides: `key=value`, `+key=value` or `group=choice`.
        like: the overrides `cfg` was composed from; they tell which schema checks which node.
        also: keys that may be set though `cfg` does not have them.

    Raises:
        UserError: if an override names no key of `cfg`, or a value is refused, of those that `cfg` has too.
    """
    changed = copy.deepcopy(cfg)
    schemas: dict[str, str] = {}
    with suppress(UserError):  # conf may have lost what this config was composed from; its builders check then
        schemas = take_schemas(draft(like))
    for override in parse(normalise(overrides)):
        _check_choice(override)
        if override.key_or_group == "exp":
            raise UserError("a run keeps its experiment; change single values by KEY=VALUE, or start a new run")
        key = override.package or override.key_or_group.replace("/", ".")
        if override.is_delete():
            raise UserError(f"{override.input_line!r}: a finished config can be changed, but nothing taken out of it")
        if not override.is_add() and key not in (known := [*keys(changed), *also]):
            raise UnknownKey(key, f"this run's config has no key {key!r}{did_you_mean(key, known, quote=True)}")
        value = override.value()
        if is_group(override.key_or_group):
            part = draft([], config=f"{override.key_or_group}/{value}")
            schemas = {k: v for k, v in schemas.items() if not f"{k}.".startswith(f"{key}.")} | take_schemas(part)
            value = OmegaConf.select(part, override.key_or_group.replace("/", "."))
        OmegaConf.update(changed, key, value, merge=False, force_add=True)
    _resolve(changed)
    check(changed, schemas, older=not overrides)
    return changed


def normalise(overrides: Sequence[str]) -> list[str]:
    """The overrides in the form Hydra needs.

    `exp=NAME` and `+exp=NAME` become `+exp@_global_=NAME`, an experiment being merged at the root of the config;
    `GROUP=null` becomes `~GROUP`; a value `~/PATH` begins with the user's home, which no shell fills in behind a `=`.
    """
    home = os.path.expanduser("~")
    overrides = [re.sub(r"(?<=[=,\[])~(?=[/,\]]|$)", lambda _: home, override) for override in overrides]
    plain = [re.sub(r"^\+{0,2}exp=", "+exp@_global_=", override) for override in overrides]
    return [re.sub(r"=null$", "", f"~{o}") if o.endswith("=null") and is_group(o[:-5]) else o for o in plain]


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's reading of each override.

    Raises:
        UserError: if one does not follow the override grammar.
    """
    parser = OverridesParser.create()
    parsed = []
    for override in overrides:
        try:
            override.encode()
            parsed.append(parser.parse_override(override))
            if not parsed[-1].key_or_group:
                raise HydraException("it has no key")
        except UnicodeEncodeError as fault:
            raise UserError(f"{override!r} is not UTF-8 text; type it in a terminal that writes UTF-8") from fault
        except HydraException as fault:
            raise UserError(
                f"{override!r} is not an override{_meant(override)}; write key=value, group=choice, +key=value or ~key "
                f"(quote a value with commas, brackets, blanks or other signs: {_quoted(override)})"
            ) from fault
    return parsed


def _quoted(override: str) -> str:
    """The override as a shell's user types it with its value in quotes, if that is what it lacks; else an example."""
    key, equals, value = override.partition("=")
    quoted = f"{key}={json.dumps(value, ensure_ascii=False)}"
    if not equals or not value.isprintable() or value[:1] in "[{\"'":
        return "\"key='a, b'\""
    try:
        OverridesParser.create().parse_override(quoted)
    except HydraException:
        return "\"key='a, b'\""
    return shlex.quote(quoted)


def quoted(text: str) -> str:
    """A text, such as a path, as Hydra's grammar reads it back whatever it holds."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"


def _meant(word: str) -> str:
    """What somebody meant who gave a name alone."""
    if word == "latest":
        return "; did you mean run=latest?"
    experiments = get_close_matches(word, choices("exp"), n=1, cutoff=0.8)
    return f"; did you mean +exp={experiments[0]}?" if experiments else ""


def chosen(overrides: Sequence[str], group: str) -> str | None:
    """The choice the overrides make for a group, if they make one."""
    pattern = re.compile(rf"\+{{0,2}}{re.escape(group)}(?:@[^=]*)?=(.+)")
    found = [match[1] for override in overrides if (match := pattern.fullmatch(override))]
    return found[-1] if found else None


def keys(cfg: DictConfig, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a config, inner nodes included."""
    for name in map(str, cfg):
        yield f"{prefix}{name}"
        node = cfg._get_node(name)
        if isinstance(node, DictConfig) and not (node._is_none() or node._is_missing() or node._is_interpolation()):
            yield from keys(node, f"{prefix}{name}.")


def _hydra(overrides: Sequence[str], config: str) -> DictConfig:
    folders = search_path()
    home = next((folder for folder in folders if (folder / f"{config}.yaml").exists()), CONF)
    added = ",".join(quoted(f"file://{folder}") for folder in folders if folder != home)
    with initialize_config_dir(str(home), version_base="1.3"):
        return hydra_compose(config, [*overrides, f"hydra.searchpath=[{added}]"])


def _unreadable() -> str | None:
    """The first config file that cannot be read, and why."""
    for folder in search_path():
        for file in sorted(folder.rglob("*.yaml")):
            try:
                if file.is_file():
                    file.read_text(encoding="utf-8")
            except (OSError, UnicodeError) as fault:
                return f"{file} ({fault})"
    return None


def _resolve(cfg: DictConfig) -> None:
    try:
        OmegaConf.resolve(cfg)
    except OmegaConfBaseException as fault:
        key = next((key for key in keys(cfg) if _is_broken(cfg, key)), "the config")
        wanted = re.search(r"Interpolation key '([^']+)' not found", str(fault))
        if wanted is None:
            raise UserError(f"{key} cannot be resolved: {_one_line(fault)}") from fault
        hint = did_you_mean(wanted[1], keys(cfg), quote=True)
        raise UserError(f"{key} refers to {wanted[1]!r}, which the config does not have{hint}") from fault


def _waits(cfg: DictConfig, key: str) -> bool:
    """Whether a key has no value, or refers to one that has none."""
    try:
        OmegaConf.select(cfg, key, throw_on_missing=True)
    except (MissingMandatoryValue, InterpolationToMissingValueError):
        return True
    except OmegaConfBaseException:
        return False
    return False


def _is_broken(cfg: DictConfig, key: str) -> bool:
    try:
        OmegaConf.select(cfg, key)
    except OmegaConfBaseException:
        return True
    return False


def _check_choice(override: Override) -> None:
    group = override.key_or_group
    if override.is_sweep_override() and not group.startswith("hydra"):
        raise UserError(
            f"{override.input_line!r} names several values; try them all with agentlab sweep, "
            f"or write one list as {group}=[a,b]"
        )
    if group.startswith("hydra/") or not is_group(group) or override.is_delete():
        return
    if override.value() in ("", None):
        known = choices(group)
        raise UserError(
            f"{group} is given no choice; write +exp=NAME (see: agentlab list)" if group == "exp" else
            f"{group} is given no choice; write {group}=NAME, or {group}=null for none (choices: {', '.join(known)})"
        )
    if isinstance(value := override.value(), list) and not all(isinstance(one, str) for one in value):
        raise UserError(_no_such_choice(group, str(value)))
    for choice in _names(value):
        if choice not in choices(group) and not is_group(f"{group}/{choice.rpartition('/')[0]}"):
            raise UserError(_no_such_choice(group, choice))


def _names(value: Any) -> list[str]:
    return [str(part) for part in (value if isinstance(value, list) else [value]) if part is not None]


def _no_such_choice(group: str, choice: str) -> str:
    known = choices(group)
    if group == "exp":
        return f"conf has no experiment {choice!r}{did_you_mean(choice, known)} (see: agentlab list)"
    return f"{group} has no choice {choice!r}{did_you_mean(choice, known)} (choices: {', '.join(known)})"


def _missing_file(fault: MissingConfigException, overrides: Sequence[str]) -> UserError:
    group, _, choice = str(fault.missing_cfg_file).rpartition("/")
    asking = re.match(r"In '([^']+)'", str(fault))
    asker = asking[1] if asking and asking[1] != "config" else f"exp/{chosen(overrides, 'exp') or ''}"
    where = "the config" if asker == "exp/" else f"{asker}.yaml"
    if chosen(overrides, group) == choice:
        return UserError(_no_such_choice(group, choice))
    return UserError(f"{where} asks for {group}/{choice}: {_no_such_choice(group, choice)}")


def _not_composed(fault: ConfigCompositionException, overrides: Sequence[str], config: str) -> UserError:
    text = str(fault)
    see = _see(overrides, config)
    if match := re.search(r"An item is already at '([^']+)'", text):
        return UserError(f"{match[1]!r} exists already; change it with {match[1]}=VALUE, without the plus {see}")
    if (match := re.search(r"Could not override '([^']+)'", text)) and is_group(match[1]):
        return UserError(
            f"nothing here chooses {match[1]} yet, so it cannot be changed; "
            f"start from an experiment that does (see: agentlab list) or add it with +{match[1]}=CHOICE"
        )
    if match := re.search(r"(?:override|delete from config\.) '([^']+)'", text):
        inside = re.search(r"full_key: (\S+)", str(fault.__cause__))
        key = inside[1] if inside else match[1].partition("@")[0]
        choosing = [str(o.input_line) for o in parse(overrides) if is_group(o.key_or_group)]
        there = keys(_hydra(choosing, config)) if len(choosing) < len(overrides) else []
        hint = did_you_mean(key, [name for name in there if not key.startswith(f"{name}.")], quote=True)
        new = hint or ("" if config != "config" else f"; a new key is added with +{key}=VALUE")
        return UnknownKey(key, f"conf has no key {key!r}{new} {see}")
    if match := re.match(r"Error merging override [+]*([^=\s]+)=", text):
        kind = re.search(r"full_key: (\S+)\s+object_type=(\w+)", str(fault.__cause__))
        key = kind[1] if kind else match[1]
        is_list = kind is not None and kind[2] == "list"
        takes = f"a list; write {key}=[...]" if is_list else f"a group of keys; write {key}.KEY=VALUE"
        return UserError(f"{key} is {takes} {see}")
    if match := re.search(r"Multiple values for ([^.\s]+)\.|(\S+) appears more than once", text):
        group = (match[1] or match[2]).partition("@")[0]
        return UserError(f"{group} is chosen already; choose it once, with {group}=CHOICE and without a plus")
    return UserError(_one_line(fault))


def _see(overrides: Sequence[str], config: str) -> str:
    if config != "config":
        return f"(see: conf/{config}.yaml)"
    name = chosen(overrides, "exp")
    return f"(see: agentlab show +exp={name})" if name else "(see: agentlab show)"


def _one_line(fault: BaseException) -> str:
    """The first lines of a library's message, without its pointers to its own documentation and internals."""
    lines = [line.strip() for line in str(fault).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("full_key:", "object_type=", "See https"))]
    return " ".join(kept)
