"""What a sweep is asked to vary, and the folder that belongs to it alone."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from hydra.core.override_parser.types import Glob, IntervalSweep, Override
from omegaconf import OmegaConf

from agentlab_runner.runners.config.compose import compose, normalise, parse
from agentlab_runner.runners.config.identity import HARMLESS, is_under, relevant
from agentlab_runner.runners.config.listing import is_group
from agentlab_runner.runners.config.named import check_named
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import write_atomic
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.run.manifest import now


@dataclass(frozen=True, slots=True)
class Plan:
    """The overrides of a sweep, sorted by what they are."""

    fixed: tuple[Override, ...]
    """The same in every job."""
    swept: tuple[Override, ...]
    """With several values; the seed even if it has one, so that more seeds are more of the same sweep."""
    hydra: tuple[Override, ...]
    """Of the sweeper and launcher; they change how jobs run, never what they compute."""

    @classmethod
    def parse(cls, overrides: Sequence[str]) -> Self:
        """Sort overrides as typed.

        Raises:
            UserError: if one does not follow the override grammar.
        """
        parsed = parse(normalise(overrides))
        hydra = [o for o in parsed if o.key_or_group.startswith(("hydra.", "hydra/"))]
        own = [o for o in parsed if o not in hydra]
        swept = [o for o in own if o.is_sweep_override() or o.key_or_group == "seed"]
        return cls(tuple(o for o in own if o not in swept), tuple(swept), tuple(hydra))

    @property
    def overrides(self) -> list[str]:
        """All of them, as Hydra reads them."""
        return [o.input_line or "" for o in (*self.hydra, *self.fixed, *self.swept)]

    @property
    def swept_keys(self) -> list[str]:
        return sorted(key(line(o)) for o in self.swept)

    @property
    def name(self) -> str:
        """A name that this command has whenever it is given, with more or fewer swept values too."""
        fixed = sorted(line(o) for o in self.fixed if not is_under(o.key_or_group, HARMLESS))
        digest = hashlib.sha256(json.dumps([fixed, self.swept_keys]).encode()).hexdigest()[:8]
        experiment = next((str(o.value()) for o in self.fixed if o.key_or_group == "exp"), "sweep")
        return f"{experiment}-{digest}"

    @property
    def fixed_keys(self) -> list[str]:
        return [key(line(o)) for o in self.fixed]

    def varying(self, keys: Sequence[str]) -> "Plan":
        """The same plan, counting an override of one of these keys as swept though it has a single value."""
        single = tuple(o for o in self.fixed if key(line(o)) in keys)
        return replace(self, fixed=tuple(o for o in self.fixed if o not in single), swept=(*self.swept, *single))

    def refuse_idle(self) -> None:
        """Refuse to vary what changes nothing: a job is what it computes, so all of them would be one.

        Raises:
            UserError: naming the override.
        """
        for override in self.swept:
            if override.is_sweep_override() and is_under(override.key_or_group, HARMLESS):
                raise UserError(
                    f"{line(override)} varies what changes no number of a run, so its jobs would all be the same one; "
                    f"give {override.key_or_group} one value"
                )

    @property
    def elsewhere(self) -> bool:
        """Whether jobs run on other machines, which may have what this one lacks."""
        launchers = [str(o.value()) for o in self.hydra if o.key_or_group == "hydra/launcher"]
        return any(name.startswith(("submitit_slurm", "ray")) for name in launchers)

    def reference(self) -> list[str]:
        """One value of every swept key: the point at which the configs of two commands are compared."""
        points = []
        for override in self.swept:
            value = override.value()
            if isinstance(value, IntervalSweep):
                points.append(f"{override.get_key_element()}={value.start}")
            elif not override.is_sweep_override():
                points.append(line(override))
            elif not isinstance(value, Glob):
                first = next(override.sweep_string_iterator(), None)
                if first is None:
                    raise UserError(f"{line(override)} names no value; give {override.key_or_group} one or more")
                points.append(f"{override.get_key_element()}={first}")
        return points


def line(override: Override) -> str:
    """The override as Hydra reads it."""
    return override.input_line or ""


def as_typed(override: str) -> str:
    """The override as a user writes it: an experiment without the package that Hydra needs to be told."""
    return override.replace("exp@_global_=", "exp=", 1)


def key(override: str) -> str:
    """The key of an override as typed."""
    return as_typed(override).lstrip("+").partition("=")[0]


def varied(overrides: Sequence[str], fixed: Sequence[str]) -> dict[str, str]:
    """What makes a job differ from the others of its sweep: its overrides without those of `fixed` keys.

    Keys that change nothing of what is computed are left out too, since an earlier command may have had them.
    """
    values = dict(override.lstrip("+").partition("=")[::2] for override in overrides)
    return {name: value for name, value in values.items() if name not in fixed and not is_under(name, HARMLESS)}


def called(overrides: Sequence[str], fixed: Sequence[str]) -> str:
    """A job by what it has otherwise than the others: `seed=1 agent.entropy=none`."""
    return " ".join(f"{name}={value}" for name, value in varied(overrides, fixed).items()) or "the job"


def claim(folder: Path, plan: Plan) -> Plan:
    """Make `folder` the folder of this sweep, or make sure that it is: `sweep.json` holds what its jobs have in common.

    Returns:
        The plan, in which a key that this sweep varies counts as swept even where the command gives it one value.

    Raises:
        UserError: naming the key, if the folder holds the jobs of another config or other swept keys.
    """
    file = folder / "sweep.json"
    if not file.exists():
        reference = plan.reference()
        content = {
            "created": now(),
            "fixed": [as_typed(line(o)) for o in plan.fixed],
            "swept": plan.swept_keys,
            "reference": {"overrides": reference, "config": _config(plan, reference)},
        }
        write_atomic(file, json.dumps(content, indent=2) + "\n")
        return plan
    known = read_object(folder, "sweep.json")
    _check(known, file)
    plan = plan.varying(known["swept"])
    if plan.swept_keys != known["swept"]:
        raise UserError(
            f"{folder} varies {', '.join(known['swept']) or 'nothing'}, but this command varies "
            f"{', '.join(plan.swept_keys) or 'nothing'}; vary the same keys, or give this sweep a --name of its own"
        )
    old, new = known["reference"]["config"], _config(plan, known["reference"]["overrides"])
    absent = object()
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name, absent) != new.get(name, absent)]
    if changed:
        named = ", ".join(f"{name} ({old.get(name)!r} -> {new.get(name)!r})" for name in changed[:5])
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise UserError(
            f"{folder} holds jobs of another config; changed: {named}{more}; "
            "undo that, or give this sweep a --name of its own"
        )
    return plan


def _check(known: dict[str, Any], file: Path) -> None:
    """Whether a sweep.json, which may be someone else's, says values of the swept keys and nothing more."""
    swept, reference = known.get("swept"), known.get("reference")
    points = reference.get("overrides") if isinstance(reference, dict) else None
    texts = [*swept, *points] if isinstance(swept, list) and isinstance(points, list) else [None]
    if not all(isinstance(text, str) for text in texts) or not isinstance(known["reference"].get("config"), dict):
        raise UserError(f"{file} is damaged; give this sweep a --name of its own")
    for override in parse(known["reference"]["overrides"]):
        if key(line(override)) not in known["swept"] or (is_group(override.key_or_group) and ".." in line(override)):
            raise UserError(f"{file} is damaged ({line(override)}); give this sweep a --name of its own")
        check_named({override.key_or_group: override.value()}, str(file), "--name NAME for a sweep of your own")


def _config(plan: Plan, reference: list[str]) -> dict[str, Any]:
    """What decides a job's numbers, as flat keys, at one point of the sweep."""
    config = OmegaConf.to_container(compose([*map(line, plan.fixed), *reference]))
    assert isinstance(config, dict)
    plain: dict[str, Any] = json.loads(json.dumps(relevant({str(name): value for name, value in config.items()})))
    return plain
