"""The run folder: everything a run leaves behind, and the only code that writes it.

    config.yaml     the resolved config              checkpoints/  best and last, see runners/run/checkpoint.py
    manifest.json   see runners/run/manifest.py      episodes/     recorded episodes, see runners/run/episodes.py
    metrics.jsonl   see runners/run/metrics_file.py  eval/         one JSON file an evaluation
    error.txt       traceback, if the run failed     media/        pictures that were logged, recorded episodes as GIFs
    code/           diffs, see runners/run/repositories.py
    journal.jsonl   episodes played, see runners/evaluation/journal.py
    lock            held by the live process         wandb/        W&B's own files
    mirrored.json   how much of it W&B has, see runners/run/wandb_files.py
"""

import json
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from omegaconf import OmegaConf

from agentlab_runner.runners.config.identity import config_hash
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import write_atomic
from agentlab_runner.runners.files.lock import is_locked, take_lock
from agentlab_runner.runners.files.names import bare
from agentlab_runner.runners.files.received import check_folder
from agentlab_runner.runners.run.appear import given_folder, new_folder
from agentlab_runner.runners.run.begun import begun_here, note_begun
from agentlab_runner.runners.run.checkpoint import Checkpoints, restore_rng, rng_state
from agentlab_runner.runners.run.config_file import Config, as_plain, as_yaml, compare, read_config
from agentlab_runner.runners.run.evaluations import Apart
from agentlab_runner.runners.run.manifest import Manifest, described, new_manifest, now, read_manifest
from agentlab_runner.runners.run.metrics_file import MetricsFile
from agentlab_runner.runners.run.repositories import record
from agentlab_runner.runners.run.signals import Stops, whole
from agentlab_runner.runners.run.tracking import NullTracker, Tracker, make_tracker
from agentlab_runner.runners.types import Metrics, Trajectory

FOLDERS = ("checkpoints", "code", "episodes", "eval", "media", "model", "wandb")
"""What is a folder in a run's."""

JOURNAL = "journal.jsonl"
"""What an evaluation has played."""


class Run:
    """One run and its folder.

    Reading it (`Run.open`, `metrics`, `load_checkpoint`) and adding an evaluation (`write_eval`, `save_episodes`) need
    nothing more. Training happens inside `with run:`, which takes the lock, connects the tracker, and records how the
    run ended: finished, interrupted (Ctrl-C or another signal of `signals.STOPS`, as KeyboardInterrupt) or failed
    (traceback in `error.txt`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = read_config(path)
        self.manifest = read_manifest(path)
        self.tracker: Tracker = NullTracker()
        self.apart: Apart | None = None
        """How evaluations are made that belong to no line of the metrics."""
        keep = OmegaConf.select(self.config, "checkpoint.keep", default=2)
        self.checkpoints = Checkpoints(path / "checkpoints", keep=keep)
        self._metrics = MetricsFile(path / "metrics.jsonl")
        self._lock: IO[str] | None = None
        self._resumable = False
        self._before: dict[str, Any] = {}
        """What the manifest said of its end when it was entered, if there was something to go on with."""
        self._since = time.monotonic()
        self._stops = Stops()

    @classmethod
    def create(
        cls,
        cfg: Config,
        root: Path,
        command: list[str],
        name: str | None = None,
        path: Path | None = None,
        group: str | None = None,
    ) -> Self:
        """A new run, locked by this process, in `path` or in a folder of its own under `root`.

        Args:
            cfg: the composed config; stored with every interpolation resolved.
            root: the folder of all runs; the new one is called `TIME_NAME`, with a number behind it if that is taken.
            command: the command line, for the manifest.
            name: what the run is of; the experiment's name as a rule. A bare name, see runners/files/names.py.
            path: the exact folder instead, as a sweep wants it; it may exist, but may not hold a run.
            group: the sweep or claim it belongs to; `name` then says what it has otherwise than the others there.

        Raises:
            UserError: if `path` holds a run, or the name is not a bare one.
            RunFailed: if the disk is full.
        """
        config = as_plain(cfg)
        title = name if group and name else bare(name or "run")

        def fill(folder: Path) -> None:
            manifest = new_manifest(title, command, config, record(folder, config), group)
            write_atomic(folder / "config.yaml", as_yaml(config))
            write_atomic(folder / "manifest.json", _json(manifest))

        folder, lock = new_folder(root, title, fill) if path is None else given_folder(path, fill)
        note_begun(folder, config)
        run = cls(folder)
        run._lock = lock
        return run

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """An existing run.

        Raises:
            UserError: if the folder holds no run, its manifest or config is damaged, or a link leads out of it.
        """
        run = cls(Path(path))
        check_folder(run.path, FOLDERS)
        return run

    # -- its life ------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """running, finished, failed or interrupted; a run whose process was killed counts as interrupted."""
        status = read_manifest(self.path)["status"]
        return "interrupted" if status == "running" and not self._held() else status

    @property
    def owned(self) -> bool:
        """Whether this object has the run's lock, and so may write its manifest."""
        return self._lock is not None

    def record(self, **entries: Any) -> None:
        """Put something into the manifest."""
        self.manifest.update(entries)  # type: ignore[typeddict-item]
        self._write_manifest()

    def __enter__(self) -> Self:
        self._hold()
        assert self._lock is not None
        try:
            self.check_checkpoints()
        except UserError:
            self._lock.close()
            self._lock = None
            raise
        ended = {"status": self.manifest["status"], "ended": self.manifest["ended"]}
        self._before = ended if self.has_checkpoint() or (self.path / JOURNAL).exists() else {}
        self.checkpoints.sweep()
        if self.has_checkpoint():
            self._metrics.repair()
        else:
            self._metrics.clear()  # what was logged before the first checkpoint will be computed again
        self._resumable = True
        self._since = time.monotonic()
        self._stops.__enter__()
        try:
            self._set_status("running")
            self.tracker = self._connect()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "finished"
        if isinstance(error, KeyboardInterrupt):
            status = "interrupted"
        elif error is not None:  # SystemExit too, whatever its code: somebody's `exit()` is no end of a run
            status = "failed"
        try:
            with whole():
                self._set_status(status)
                if isinstance(error, UserError) and self._resumable and self._before:
                    self.record(**self._before)  # bad input, told before the run went on: it is as it was
                elif status == "failed":
                    self.write("error.txt", "".join(traceback.format_exception(error)))
                else:
                    (self.path / "error.txt").unlink(missing_ok=True)
            self.tracker.finish(status, self.checkpoints)
        except Exception as second:
            if error is None:
                raise
            error.add_note(f"and its end could not be recorded: {second}")  # the disk is full, most likely
        finally:
            self.tracker = NullTracker()
            self._resumable = False
            self._stops.__exit__(kind, error, trace)
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    # -- what it computes ----------------------------------------------------------------------------------------------

    def log(self, metrics: Metrics, step: int) -> None:
        """Append one line to `metrics.jsonl` and tell the tracker; pictures go to `media/`."""
        self._resumable = False
        self._metrics.log(metrics, step)
        self.tracker.log(metrics, step)

    def metrics(self) -> list[dict[str, Any]]:
        """Every logged line, oldest first; a last line torn by a crash is left out.

        Raises:
            UserError: if any other line is damaged.
        """
        return self._metrics.read()

    def last(self, name: str) -> dict[str, Any]:
        """The metrics of the newest line that has `name`, without step and time; empty if there is none."""
        for line in reversed(self.metrics()):
            if name in line:
                return {key: value for key, value in line.items() if key not in ("step", "time")}
        return {}

    def save_checkpoint(self, step: int, state: Mapping[str, Any], score: float | None = None) -> None:
        """Keep `state` and the global random generators as checkpoint `step`; see `Checkpoints.save`."""
        self._resumable = False
        with whole():
            self.checkpoints.save(step, {"state": state, "rng": rng_state()}, score)
            if self._lock is not None:
                self.manifest["saved"] = step
                self._count_time()
                self._write_manifest()

    def load_checkpoint(self, which: str = "last") -> tuple[int, Any]:
        """(step, state) of the checkpoint called `last`, `best` or by its number.

        `last`, asked for inside `with run:` before anything was logged, **resumes**: the random generators go back to
        where they were, and metrics logged after that checkpoint are cut off, since they will be computed again.
        At any other time nothing but the state is read.

        Raises:
            UserError: if it is missing or damaged; the message offers what to use instead.
        """
        step, content = self.checkpoints.load(which)
        if not isinstance(content, dict) or not {"state", "rng"} <= content.keys():
            raise UserError(f"checkpoint {step} of {self.path} holds no state of a run; use another")
        if self._resumable and which == "last":
            self._resumable = False
            self._metrics.cut_after(step)
            restore_rng(content["rng"])
            self.manifest["resumed"].append({"time": now(), "step": step})
            self._write_manifest()
        return step, content["state"]

    def has_checkpoint(self) -> bool:
        return bool(self.checkpoints.all())

    def check_checkpoints(self) -> None:
        """Whether there is a checkpoint where one was saved: to begin anew there would delete what the run has logged.

        Raises:
            UserError: if they are gone; the message says how to begin anew.
        """
        resumed = [entry["step"] for entry in self.manifest["resumed"] if isinstance(entry, dict) and "step" in entry]
        saved = self.manifest.get("saved")
        if saved is None and resumed:  # a run that is older than the key
            saved = resumed[-1]
        if saved is not None and not self.has_checkpoint():
            raise UserError(
                f"{self.path} was saved at step {saved}, but its checkpoints are gone; put them back, or move the "
                "folder away and begin anew with the command in its manifest.json"
            )

    def rewind(self, which: str) -> int:
        """Delete the checkpoints newer than `which`, so that a resumption goes on from there; gives its step.

        This is how a run goes on when its last checkpoint is damaged: inside `with run:`, before training. It is never
        done unasked.
        """
        step, _ = self.checkpoints.load(which)
        self.checkpoints.drop_after(step)
        return step

    # -- what it leaves ------------------------------------------------------------------------------------------------

    def write(self, name: str, content: bytes | str) -> Path:
        """Write a file of the run, whole or not at all; `name` is relative to the run folder."""
        path = self.path / name
        write_atomic(path, content)
        return path

    def write_eval(self, name: str, result: Mapping[str, Any], step: int | None = None) -> Path:
        """Write `eval/NAME.json`, with the time and the step it is of: the last logged one if None.

        One made by itself replaces none that was made under other overrides, but is called `NAME-2`, `NAME-3`, ...
        """
        name = self._called(name)
        said = {**self._said(step), **result}
        path = self.write(f"eval/{name}.json", _json(said))
        if not self.apart:
            self.tracker.table(name, said)
        return path

    def save_episodes(
        self, name: str, trajectories: Sequence[Trajectory], limit: int | None = None, step: int | None = None
    ) -> Path:
        """Write the first `limit` episodes (all, if None) to `episodes/NAME/`, replacing what was there.

        They say when they were recorded and at which step, the last logged one if None. As many as the tracker wants
        become GIFs, `media/NAME_episode_000.gif` and so on.
        """
        from agentlab_runner.runners.run.episodes import save_episodes

        kept, name = list(trajectories)[:limit], self._called(name)
        folder = self.path / "episodes" / name
        if not kept:
            return folder
        partial = folder.with_name(f".{folder.name}.part")
        try:
            save_episodes(partial, kept, self._said(step))
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._show(name, kept)
        return folder

    def add_episode(self, name: str, number: int, trajectory: Trajectory, step: int | None = None) -> None:
        """Write one episode to `episodes/NAME/` beside those that are there; `show_episodes` makes them move."""
        from agentlab_runner.runners.run.episodes import save_episode

        save_episode(self.path / "episodes" / self._called(name), number, trajectory, self._said(step))

    def show_episodes(self, name: str) -> None:
        """As many of the episodes in `episodes/NAME/` as the tracker wants become GIFs."""
        from agentlab_runner.runners.run.episodes import load_episodes

        name = self._called(name)
        folder = self.path / "episodes" / name
        if folder.is_dir():
            self._show(name, load_episodes(folder))

    def _show(self, name: str, kept: Sequence[Trajectory]) -> None:
        from agentlab_runner.runners.run.episodes import gif, save_clips

        tracker = make_tracker(self.config.get("logger")) if self.apart else self.tracker
        gifs = [gif(trajectory) for trajectory in kept[: tracker.clips]]
        save_clips(self.path, name, gifs)
        if not self.apart:
            tracker.episodes(name, gifs)

    # -- its config ----------------------------------------------------------------------------------------------------

    def check_config(self, cfg: Config, allow: Sequence[str] = ()) -> dict[str, tuple[Any, Any]]:
        """The keys in which `cfg` differs from this run's config: `{key: (ours, theirs)}`, all of them harmless.

        Harmless: what `identity.HARMLESS` names, and a larger `total_iterations`.

        Args:
            cfg: the config somebody wants to go on with.
            allow: further dotted keys, or groups of keys, that may change.

        Raises:
            UserError: naming every other key that differs.
        """
        changed, refused = compare(self.config, cfg, allow)
        if refused:
            raise UserError(
                f"this is not the config {self.path} was started with; changed: {', '.join(refused)}; "
                "undo that to resume, or start a new run"
            )
        return changed

    def update_config(self, cfg: Config, allow: Sequence[str] = ()) -> None:
        """Go on with `cfg`, once `check_config` has found its differences harmless."""
        if not self.check_config(cfg, allow):
            return
        self._hold()  # before anything is written: somebody else may be resuming it, too
        config = as_plain(cfg)
        if begun_here(self.path, self.config):
            note_begun(self.path, config)
        self.manifest["replaced_hash"] = config_hash(as_plain(self.config))
        self.manifest = cast(Manifest, {**self.manifest, **described(config)})
        self._write_manifest()
        self.write("config.yaml", as_yaml(config))
        self.config = OmegaConf.create(config)
        self.checkpoints.keep = OmegaConf.select(self.config, "checkpoint.keep", default=2)

    def record_origin(self, origin: Mapping[str, Any]) -> None:
        """Note in the manifest from which checkpoint of which other run this one starts."""
        if self.manifest.get("init_from") != origin:
            self.manifest["init_from"] = dict(origin)
            self._write_manifest()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _connect(self) -> Tracker:
        """The tracker the config names, started."""
        tracker = make_tracker(self.config.get("logger"))
        tracker.start(self.path, self.manifest, as_plain(self.config))
        return tracker

    def _called(self, name: str) -> str:
        return self.apart.called(name, self.path) if self.apart else name

    def _said(self, step: int | None) -> dict[str, Any]:
        """What an evaluation or recording says of itself, since its file's own time is lost when it is copied."""
        if step is None:
            step = max((line["step"] for line in self.metrics()), default=0)
        return {"step": step, "time": round(time.time(), 3)} | (self.apart.says() if self.apart else {})

    def _hold(self) -> None:
        """Have the run's lock, and the manifest as it is under it.

        Raises:
            UserError: if another live process holds it.
        """
        if self._lock is None:
            self._lock = take_lock(self.path)
            self.manifest = read_manifest(self.path)

    def _held(self) -> bool:
        return self._lock is not None or is_locked(self.path)

    def _set_status(self, status: str) -> None:
        self.manifest["status"] = status
        self.manifest["ended"] = None if status == "running" else now()
        self._count_time()
        self._write_manifest()

    def _count_time(self) -> None:
        """Add what has passed since this was asked last; a clock that is set meanwhile changes nothing."""
        passed, self._since = time.monotonic() - self._since, time.monotonic()
        if self.manifest.get("seconds") is not None:  # a run older than that is measured by when it started and ended
            self.manifest["seconds"] = round(self.manifest["seconds"] + passed, 3)

    def _write_manifest(self) -> None:
        self.write("manifest.json", _json(self.manifest))


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
