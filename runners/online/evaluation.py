"""What a set of evaluation episodes says: a line each, success by task and level with intervals, what it cost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

from agentlab_runner.runners.run.metrics_file import is_finite
from agentlab_runner.runners.terminal.statistics import wilson_interval
from agentlab_runner.runners.types import StopReason, Table, Trajectory

Line = Mapping[str, Any]
"""One episode in numbers, see `line_of`."""

USAGE = ("calls", "tokens_in", "tokens_out", "cached", "cost", "seconds")
"""What an episode asked of models; `cached`: calls answered without asking."""
APART = tuple(reason.value for reason in StopReason if not reason.counts)
"""How episodes end that are counted apart."""
STEPS = "steps"
"""The measure that says of how many decisions an episode's other measures are the means."""
MOST_CONDITIONS = 5
"""Values of one condition that are named."""
MOST_REASONS = 20
"""Why agents gave up, in a summary: the most frequent ones; a model may say a new one every time."""


def line_of(number: int, trajectory: Trajectory) -> dict[str, Any]:
    """An episode as evaluations and journals keep it.

    Returns:
        `{"number", "task", "level", "seed", "success", "stop", "reason", "return", "length",
        "measures": {NAME: number}, "calls", "tokens_in", "tokens_out", "cached", "cost", "seconds",
        "models": {NAME: calls}, "conditions": {NAME: text}}`; `seconds` are those that its answers took, `cost` what
        they cost.
    """
    calls: Sequence[Mapping[str, Any]] = trajectory.calls
    return {
        "number": number,
        "task": trajectory.task,
        "level": trajectory.level,
        "seed": trajectory.seed,
        "success": trajectory.success,
        "stop": trajectory.stop.value,
        "reason": trajectory.reason,
        "return": trajectory.episode_return,
        "length": len(trajectory.steps),
        "measures": dict(trajectory.measures),
        "calls": len(calls),
        **{name: sum(call[name] for call in calls) for name in USAGE if name != "calls"},
        "models": dict(Counter(call["model"] for call in calls if call.get("model"))),
        "conditions": dict(trajectory.conditions),
    }


def is_line(value: object) -> bool:
    """Whether something read from a file is a line."""
    if not isinstance(value, dict):
        return False
    numbers = [value.get(name) for name in ("number", "seed", "level", "return", "length", *USAGE)]
    measures, models = value.get("measures"), value.get("models")
    return (
        all(map(is_finite, numbers))
        and all(isinstance(value.get(name), str) for name in ("task", "reason"))
        and isinstance(value.get("success"), bool)
        and value.get("stop") in list(StopReason)
        and all(isinstance(group, dict) and all(map(is_finite, group.values())) for group in (measures, models))
        and is_texts(value.get("conditions", {}))  # lines of older runs have none
    )


def is_texts(value: object) -> bool:
    """Whether something is texts by name."""
    return isinstance(value, Mapping) and all(isinstance(one, str) for pair in value.items() for one in pair)


def lines_in(summary: Mapping[str, Any]) -> list[Line]:
    """The lines of an evaluation's file; those of runs older than that are none."""
    played = summary.get("played")
    return [line for line in played if is_line(line)] if isinstance(played, list) else []


def summarise(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """What `summarised` says of the lines of these episodes, which are numbered in their order."""
    return summarised([line_of(number, trajectory) for number, trajectory in enumerate(trajectories)])


def summarised(lines: Sequence[Line]) -> dict[str, Any]:
    """Success, return, length, measures and what was asked of models, in all, by task and by level of difficulty.

    Episodes whose device was lost, whose task or judge broke, or that a person cancelled are counted apart: they say
    nothing about the policy. What they cost is in the bill.

    Returns:
        `{"episodes", "success", "interval": [low, high], "return", "return_std", "length", "measures": {NAME: mean},
        "usage": {NAME: mean of an episode}, "device_lost", "error", "cancelled", "stops": {STOP: episodes},
        "gave_up": {REASON: episodes}, "bill": {NAME: sum}, "models": {NAME: calls}, "macro": {NAME: mean over tasks},
        "micro": {NAME: {"mean", "sum", "steps"}}, "conditions": {NAME: text}, "tasks": {NAME: {...}},
        "levels": {LEVEL: {...}}, "played": [lines]}`;
        intervals are Wilson 95 %, the standard deviation is over the episodes; rates are None when no episode counts.
        `usage`, `bill` and `models` are empty where no model was asked; `usage["cached"]` is a share of the calls.
        `micro` is over all decisions of the episodes whose measures say how many `steps` they are the means of.
    """
    counted = [line for line in lines if StopReason(line["stop"]).counts]
    tasks = {name: _rates([line for line in counted if line["task"] == name]) for name in _names(counted, "task")}
    levels = {
        str(level): _rates([line for line in counted if line["level"] == level])
        for level in _names(counted, "level")
        if level
    }
    stops = Counter(line["stop"] for line in lines)
    reasons = Counter(line["reason"] for line in lines if line["stop"] == StopReason.GAVE_UP)
    models: Counter[str] = Counter()
    for line in lines:
        models.update(line["models"])
    return {
        **_rates(counted),
        **{name: stops.get(name, 0) for name in APART},
        "stops": {reason.value: stops[reason.value] for reason in StopReason if stops[reason.value]},
        "gave_up": dict(reasons.most_common(MOST_REASONS)),
        "bill": {name: sum(line[name] for line in lines) for name in USAGE} if _asked(lines) else {},
        "models": dict(models.most_common()),
        "macro": _macro(tasks),
        "micro": _micro(counted),
        "conditions": conditions(lines),
        "tasks": tasks,
        "levels": levels,
        "played": list(lines),
    }


def _names(lines: Sequence[Line], key: str) -> list[Any]:
    return sorted({line[key] for line in lines})


def _asked(lines: Sequence[Line]) -> bool:
    return any(line["calls"] for line in lines)


def _rates(lines: Sequence[Line]) -> dict[str, Any]:
    count = len(lines)
    if not count:
        none = dict.fromkeys(("success", "interval", "return", "return_std", "length"))
        return none | {"episodes": 0, "measures": {}, "usage": {}}
    wins = sum(line["success"] for line in lines)
    interval = wilson_interval(wins, count)
    returns = [line["return"] for line in lines]
    return {
        "episodes": count,
        "success": wins / count,
        "interval": [interval.low, interval.high],
        "return": fmean(returns),
        "return_std": pstdev(returns),
        "length": fmean(line["length"] for line in lines),
        "measures": _means(line["measures"] for line in lines),
        "usage": _usage(lines) if _asked(lines) else {},
    }


def _usage(lines: Sequence[Line]) -> dict[str, float]:
    means = {name: fmean(line[name] for line in lines) for name in USAGE}
    return means | {"cached": means["cached"] / means["calls"]}


def _means(groups: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each name over the groups that have it."""
    values: dict[str, list[float]] = {}
    for group in groups:
        for name, value in group.items():
            values.setdefault(name, []).append(value)
    return {name: fmean(of) for name, of in sorted(values.items())}


def conditions(lines: Iterable[Line]) -> dict[str, str]:
    """Under what all of these were played, or all these evaluations; several are all named."""
    found: dict[str, set[str]] = {}
    for line in lines:
        for name, value in line.get("conditions", {}).items():
            found.setdefault(name, set()).add(value)
    return {name: " and ".join(sorted(values)[:MOST_CONDITIONS]) for name, values in found.items()}


def _macro(tasks: Mapping[str, Any]) -> dict[str, float]:
    """Every task counts once, however many episodes it had."""
    return _means({"success": rates["success"], **rates["measures"]} for rates in tasks.values())


def _micro(lines: Sequence[Line]) -> dict[str, dict[str, float]]:
    """Every decision counts once, however many its episode had; of measures that are sums over them, the sum."""
    known = [line["measures"] for line in lines if line["measures"].get(STEPS, 0) > 0]
    found: dict[str, dict[str, float]] = {}
    for name in sorted({name for measures in known for name in measures} - {STEPS}):
        own = [(measures[name], measures[STEPS]) for measures in known if name in measures]
        whole, steps = sum(value * count for value, count in own), sum(count for _, count in own)
        found[name] = {"mean": whole / steps, "sum": whole, "steps": steps}
    return found


def headline(summary: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """The scalars of a summary as metrics: `PREFIX/success`, `PREFIX/return`, ..., `PREFIX/task/NAME`.

    A measure is `PREFIX/measures/NAME`, over episodes, `PREFIX/macro/NAME`, over tasks, and where it is the mean of an
    episode's decisions `PREFIX/micro/NAME`, over all decisions.
    """
    apart = {f"{prefix}/{name}": float(summary[name]) for name in APART if summary[name] or name == "device_lost"}
    if not summary["episodes"]:
        return apart
    scalars = {f"{prefix}/{name}": float(summary[name]) for name in ("success", "return", "return_std", "length")}
    scalars |= apart | {f"{prefix}/{name}": float(value) for name, value in summary["usage"].items()}
    for name, value in summary["measures"].items():
        scalars |= {f"{prefix}/measures/{name}": value, f"{prefix}/macro/{name}": summary["macro"][name]}
    scalars |= {f"{prefix}/micro/{name}": own["mean"] for name, own in summary["micro"].items()}
    if summary["stops"].get(StopReason.GAVE_UP):
        scalars[f"{prefix}/gave_up"] = float(summary["stops"][StopReason.GAVE_UP])
    return scalars | {f"{prefix}/task/{name}": float(rates["success"]) for name, rates in summary["tasks"].items()}


def uncounted(summary: Mapping[str, Any]) -> str:
    """What to say of an evaluation none of whose episodes counts; "" where one does."""
    if summary["episodes"]:
        return ""
    ends = ", ".join(f"{count} {stop}" for stop, count in summary["stops"].items())
    reasons = dict.fromkeys(line["reason"] for line in summary["played"] if line["reason"])
    because = f" ({'; '.join(list(reasons)[:3])})" if reasons else ""
    return f"no episode says anything of the agent: {ends or 'none was played'}{because}"


def tables(summary: Mapping[str, Any]) -> dict[str, Table]:
    """A summary as tables to read: conditions, by task, by decision, how they ended, which models answered."""
    measures, asked = list(summary["measures"]), bool(summary["usage"])
    usage = ("calls", "tokens in", "tokens out", "cached", "cost", "seconds") if asked else ()
    columns = ("task", "episodes", "success [95 %]", "return", "length", *usage, *measures)
    rows = {"all": summary, **summary["tasks"]}
    under = summary["conditions"]
    found = {"conditions": Table(tuple(under), (tuple(under.values()),))} if under else {}
    found["by task"] = Table(columns, tuple(_row(name, rates, measures, asked) for name, rates in rows.items()))
    if summary["micro"]:
        columns = ("measure", "mean of episodes", "mean of steps", "sum of steps", "steps")
        means = summary["measures"]
        over = ((name, means[name], own["mean"], own["sum"], own["steps"]) for name, own in summary["micro"].items())
        found["by step"] = Table(columns, tuple(over))
    ends = [(stop, "", count) for stop, count in summary["stops"].items() if stop != StopReason.GAVE_UP]
    ends += [(StopReason.GAVE_UP.value, reason, count) for reason, count in summary["gave_up"].items()]
    found["ends"] = Table(("end", "reason", "episodes"), tuple(ends))
    if summary["models"]:
        found["models"] = Table(("model, as it calls itself", "calls"), tuple(summary["models"].items()))
    return found


def _row(name: str, rates: Mapping[str, Any], measures: Sequence[str], asked: bool) -> tuple[str | float | None, ...]:
    success = None
    if rates["success"] is not None:
        success = f"{rates['success']:.3g} [{rates['interval'][0]:.2f}, {rates['interval'][1]:.2f}]"
    usage = [rates["usage"].get(column) for column in USAGE] if asked else []
    measured = [rates["measures"].get(measure) for measure in measures]
    return (name, rates["episodes"], success, rates["return"], rates["length"], *usage, *measured)
