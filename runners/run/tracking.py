"""Where a run's numbers are mirrored: W&B, or nowhere."""

import io
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.run.checkpoint import Checkpoints
from agentlab_runner.runners.run.manifest import Manifest
from agentlab_runner.runners.run.metrics_file import MetricsFile
from agentlab_runner.runners.run.wandb_files import keep_rows, mirrored_rows, sync_command
from agentlab_runner.runners.types import Histogram, Metrics, Picture, Series, Table

log = logging.getLogger(__name__)

CONNECT_SECONDS = 20
"""How long to wait for an answer from W&B before going on offline."""

FINISH_SECONDS = 300
"""How long to wait for the last uploads; what was not sent stays in the run folder for `wandb sync`."""

OWN_FOLDERS = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")
"""Where W&B keeps what it stages; in the run folder, unless the user has said otherwise."""

OF_ITSELF = ("step", "time", "apart", "overrides", "played")
"""What an evaluation says of itself and of single episodes beside its result."""


class Tracker(Protocol):
    """Told everything a run records, as it is recorded."""

    clips: int
    """How many of each set of recorded episodes it wants as GIFs."""

    def start(self, folder: Path, manifest: Manifest, config: Mapping[str, Any]) -> None:
        """The run in `folder` begins or goes on."""

    def log(self, metrics: Metrics, step: int) -> None:
        """What `Run.log` was given and has written as the last line of `metrics.jsonl`."""

    def table(self, name: str, result: Mapping[str, Any]) -> None:
        """An evaluation as `Run.write_eval` wrote it; it belongs to the step logged next."""

    def episodes(self, name: str, gifs: Sequence[bytes]) -> None:
        """Recorded episodes; they belong to the step logged next."""

    def finish(self, status: str, checkpoints: Checkpoints | None) -> None:
        """The run ended, or an evaluation of it apart, which has no new `checkpoints`."""


class NullTracker:
    """Tells nobody."""

    clips = 0

    def start(self, folder: Path, manifest: Manifest, config: Mapping[str, Any]) -> None: ...
    def log(self, metrics: Metrics, step: int) -> None: ...
    def table(self, name: str, result: Mapping[str, Any]) -> None: ...
    def episodes(self, name: str, gifs: Sequence[bytes]) -> None: ...
    def finish(self, status: str, checkpoints: Checkpoints | None) -> None: ...


class WandbTracker:
    """Weights & Biases. A resumed run goes on under the same W&B id; what cannot be sent is kept in `RUN/wandb/`.

    Every line of `metrics.jsonl` is a row of W&B's history once: what a resumed run computes again is there already,
    and what a killed one had not yet got there is brought after from the file, without its pictures. Evaluations made
    apart go to the summary, as `eval/NAME/success` and so on, with a table. The summary of every session is whole, as
    `wandb sync` puts that of the last in the place of all others.

    Args:
        mode: `offline` writes files that `wandb sync` can send later, `online` sends at once and falls back to offline
            when there is no login or no answer, `disabled` does nothing.
        project, entity, group, tags: as in W&B; the jobs of a sweep are a group unless told otherwise.
        clips: how many episodes of each evaluation to show as GIFs.
        checkpoint: which checkpoint becomes an artifact when the run ends.
    """

    def __init__(
        self,
        mode: Literal["offline", "online", "disabled"] = "offline",
        project: str = "agentlab",
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        clips: int = 2,
        checkpoint: Literal["best", "last", "none"] = "best",
    ) -> None:
        self.mode = mode
        self.project = project
        self.entity = entity
        self.group = group
        self.tags = tuple(tags)
        self.clips = clips if mode != "disabled" else 0
        self.checkpoint = checkpoint
        self._run: Any = None
        self._folder = Path()
        self._kept_inside: list[str] = []
        self._waiting: dict[str, Any] = {}
        self._rows = 0
        """Those W&B has."""
        self._line: int | None = None
        """The number of the line logged last; None before the first."""

    def start(self, folder: Path, manifest: Manifest, config: Mapping[str, Any]) -> None:
        if self.mode == "disabled":
            return
        import wandb

        self._folder = folder
        self._kept_inside = [name for name in OWN_FOLDERS if name not in os.environ]
        os.environ |= dict.fromkeys(self._kept_inside, str(folder / "wandb"))
        os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")  # it takes our room `agents` for a library of that name
        wandb.setup(wandb.Settings(silent=True))  # one warning below says all a user needs
        if self.mode == "online":
            try:
                if not wandb.login(prompt=False, verify=False):
                    raise wandb.errors.UsageError("no login (run `wandb login` once)")
                self._run = self._init("online", folder, manifest, config)
                log.info("W&B: %s", self._run.url)
            except wandb.errors.Error as error:
                reason = str(error).splitlines()[0].rstrip(".")
                log.warning("W&B: %s; the run goes on offline, send it with `%s`", reason, sync_command(folder))
                wandb.teardown()  # else the id of the failed attempt counts as in use
        if self._run is None:
            self._run = self._init("offline", folder, manifest, config)
        self._run.define_metric("*", step_metric="step")
        self._rows = mirrored_rows(folder, self._run.id, self._run.starting_step if self._run.resumed else None)

    def log(self, metrics: Metrics, step: int) -> None:
        if self._run is None:
            return
        with self._mirroring():
            self._line = self._catch_up() if self._line is None else self._line + 1
            values: dict[str, Any] = {"step": step} | {name: _as_wandb(value) for name, value in metrics.items()}
            self._send(self._line, values | self._waiting)
            self._waiting = {}

    def table(self, name: str, result: Mapping[str, Any]) -> None:
        if self._run is not None:
            with self._mirroring():
                self._waiting["eval/table"] = _table(result)

    def episodes(self, name: str, gifs: Sequence[bytes]) -> None:
        if self._run is not None and gifs:
            with self._mirroring():
                self._waiting["eval/episodes"] = _videos(name, gifs)

    def finish(self, status: str, checkpoints: Checkpoints | None) -> None:
        if self._run is not None:
            with self._mirroring():
                self._run.summary.update(self._last_values() | self._evaluations())
                if checkpoints and self.checkpoint != "none":
                    self._send_checkpoint(checkpoints)
                self._run.finish(exit_code=1 if status in ("failed", "interrupted") else 0)
                if self._line is not None:
                    keep_rows(self._folder, self._rows)
            self._run = None
        for name in self._kept_inside:
            os.environ.pop(name, None)

    @contextmanager
    def _mirroring(self) -> Iterator[None]:
        """Inside, W&B may fail, as when its service was killed: the run goes on without it, and says so."""
        try:
            yield
        except (UserError, RunFailed):
            raise
        except Exception as fault:  # what W&B raises has no kind in common
            import wandb

            self._run = None
            log.warning(
                "W&B: %s (%s); %s goes on without it and has everything, and W&B gets the rest when it is resumed",
                " ".join(str(fault).split()) or "it failed", type(fault).__name__, self._folder,
            )  # fmt: skip
            with suppress(Exception):
                wandb.teardown()  # else it complains at the end of the process, and no later run can reach it

    def _last_values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for line in MetricsFile(self._folder / "metrics.jsonl").read():
            values |= {name: value for name, value in line.items() if _is_number(name, value)}
        return values

    def _evaluations(self) -> dict[str, Any]:
        """Those made apart, whoever made them."""
        values: dict[str, Any] = {}
        for file in sorted((self._folder / "eval").glob("*.json")):
            try:
                result = read_object(self._folder, f"eval/{file.name}")
                if result.get("apart") is not True:
                    continue
                values[f"eval/{file.stem}/table"] = _table(result)
            except (FileNotFoundError, UserError, TypeError, AttributeError) as fault:
                log.warning("W&B: %s is left out, it cannot be read (%s)", file, fault)
                continue
            numbers = {key: value for key, value in _flat(result).items() if _is_number(key, value)}
            values |= {f"eval/{file.stem}/{key}": value for key, value in numbers.items()}
            if videos := _videos(file.stem, self._recorded(file.stem)):
                values[f"eval/{file.stem}/recorded"] = videos
        return values

    def _recorded(self, name: str) -> list[bytes]:
        """The recorded episodes of an evaluation as GIFs, as many as are wanted."""
        from agentlab_runner.runners.run.episodes import gif, load_episodes

        folder = self._folder / "episodes" / name
        if not self.clips or not folder.is_dir():
            return []
        try:
            return [gif(trajectory) for trajectory in load_episodes(folder)[: self.clips]]
        except UserError as fault:
            log.warning("W&B: %s", fault)
            return []

    def _catch_up(self) -> int:
        """Bring after what the file has and W&B lacks, up to the line before the last; gives the number of the last."""
        lines = MetricsFile(self._folder / "metrics.jsonl").read()
        for row, line in enumerate(lines[self._rows : -1], start=self._rows):
            self._send(row, {"_timestamp": line.get("time"), **_from_file(line)})
        return len(lines) - 1

    def _send(self, row: int, values: Mapping[str, Any]) -> None:
        """One row, unless W&B has it: a resumed run computes some again, with the same numbers."""
        if row >= self._rows:
            self._run.log(values, step=row, commit=True)
            self._rows = row + 1

    def _init(
        self, mode: Literal["online", "offline"], folder: Path, manifest: Manifest, config: Mapping[str, Any]
    ) -> Any:
        import wandb

        return wandb.init(
            mode=mode,
            project=self.project,
            entity=self.entity,
            group=self.group or os.environ.get("WANDB_RUN_GROUP") or manifest.get("group"),
            tags=tuple(dict.fromkeys((*self.tags, *manifest.get("tags", ())))),
            notes=manifest.get("notes") or None,
            name=manifest["name"] if manifest.get("group") else folder.name,
            id=manifest["wandb_id"],
            resume="allow",
            dir=str(folder),
            config={**config, "manifest": {key: manifest[key] for key in ("command", "git", "hardware")}},
            allow_val_change=True,
            settings=wandb.Settings(
                console="off", silent=True, init_timeout=CONNECT_SECONDS, finish_timeout=FINISH_SECONDS
            ),
        )

    def _send_checkpoint(self, checkpoints: Checkpoints) -> None:
        import wandb

        try:
            chosen = checkpoints.find(self.checkpoint)
        except UserError:  # none was saved, or none evaluated
            return
        artifact = wandb.Artifact(f"checkpoint-{self._run.id}", type="model", metadata={"step": chosen.step})
        artifact.add_file(str(checkpoints.folder / chosen.file), skip_cache=True, policy="immutable")
        self._run.log_artifact(artifact, aliases=[self.checkpoint])


def make_tracker(node: Any) -> Tracker:
    """The tracker that the config node `logger` names; none without one."""
    if not node:
        return NullTracker()
    from hydra.utils import instantiate

    return cast(Tracker, instantiate(node))


def _as_wandb(value: object) -> object:
    import wandb

    if isinstance(value, Histogram):
        return wandb.Histogram(np_histogram=(np.array(value.counts), np.array(value.edges)))
    if isinstance(value, Picture):
        return wandb.Image(value.pixels, caption=value.caption or None)
    if isinstance(value, Series):
        lines = [list(line) for line in value.lines.values()]
        return wandb.plot.line_series(list(value.x), lines, keys=list(value.lines), xname=value.x_label or "x")
    if isinstance(value, Table):
        return wandb.Table(list(value.columns), data=[list(row) for row in value.rows], allow_mixed_types=True)
    return value


def _from_file(line: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers, histograms, series and tables of a line of `metrics.jsonl`."""
    values: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, Mapping) and {"counts", "edges"} <= value.keys():
            values[name] = _as_wandb(Histogram(tuple(value["counts"]), tuple(value["edges"])))
        elif isinstance(value, Mapping) and {"x", "lines"} <= value.keys():
            lines = {str(line): tuple(values_) for line, values_ in value["lines"].items()}
            values[name] = _as_wandb(Series(tuple(value["x"]), lines, str(value.get("x_label", ""))))
        elif isinstance(value, Mapping) and {"columns", "rows"} <= value.keys():
            values[name] = _as_wandb(Table(tuple(value["columns"]), tuple(map(tuple, value["rows"]))))
        elif _is_number(name, value):
            values[name] = value
    return values


def _table(result: Mapping[str, Any]) -> Any:
    """A row for all of an evaluation and one a task."""
    import wandb

    rows = {"all": _flat(result), **{name: _flat(rates) for name, rates in result.get("tasks", {}).items()}}
    columns = [key for key, value in rows["all"].items() if not isinstance(value, Mapping) and key not in OF_ITSELF]
    cells = [[task, *(_cell(row.get(column)) for column in columns)] for task, row in rows.items()]
    return wandb.Table(columns=["task", *columns], data=cells, allow_mixed_types=True)


def _flat(rates: Mapping[str, Any]) -> dict[str, Any]:
    """What an episode used and what was measured of it, beside the rest."""
    return {**rates, **(rates.get("usage") or {}), **(rates.get("measures") or {})}


def _videos(name: str, gifs: Sequence[bytes]) -> list[Any]:
    import wandb

    return [
        wandb.Video(io.BytesIO(data), caption=f"{name} {number}", format="gif") for number, data in enumerate(gifs)
    ]


def _is_number(name: str, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and name != "time"


def _cell(value: object) -> object:
    return str(value) if isinstance(value, (list, tuple)) else value
