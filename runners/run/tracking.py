"""Where a run's numbers are mirrored: W&B, or nowhere."""

import io
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.checkpoint import Checkpoints
from agentlab_runner.runners.run.manifest import Manifest
from agentlab_runner.runners.types import Histogram, Metrics, Picture

log = logging.getLogger(__name__)

CONNECT_SECONDS = 20
"""How long to wait for an answer from W&B before going on offline."""

FINISH_SECONDS = 300
"""How long to wait for the last uploads; what was not sent stays in the run folder for `wandb sync`."""

OWN_FOLDERS = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")
"""Where W&B keeps what it stages; in the run folder, unless the user has said otherwise."""


class Tracker(Protocol):
    """Told everything a run records, as it is recorded."""

    clips: int
    """How many of each set of recorded episodes it wants as GIFs."""

    def start(self, folder: Path, manifest: Manifest, config: Mapping[str, Any]) -> None:
        """The run in `folder` begins or goes on."""

    def log(self, metrics: Metrics, step: int) -> None:
        """What `Run.log` was given."""

    def table(self, name: str, result: Mapping[str, Any]) -> None:
        """An evaluation, as `Run.write_eval` was given it; it belongs to the step logged next."""

    def episodes(self, name: str, gifs: Sequence[bytes]) -> None:
        """Recorded episodes; they belong to the step logged next."""

    def finish(self, status: str, checkpoints: Checkpoints) -> None:
        """The run ended."""


class NullTracker:
    """Tells nobody."""

    clips = 0

    def start(self, folder: Path, manifest: Manifest, config: Mapping[str, Any]) -> None: ...
    def log(self, metrics: Metrics, step: int) -> None: ...
    def table(self, name: str, result: Mapping[str, Any]) -> None: ...
    def episodes(self, name: str, gifs: Sequence[bytes]) -> None: ...
    def finish(self, status: str, checkpoints: Checkpoints) -> None: ...


class WandbTracker:
    """Weights & Biases. A resumed run goes on under the same W&B id; what cannot be sent is kept in `RUN/wandb/`.

    Args:
        mode: `offline` writes files that `wandb sync` can send later, `online` sends at once and falls back to offline
            when there is no login or no answer, `disabled` does nothing.
        project, entity, group, tags: as in W&B.
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
        self._kept_inside: list[str] = []
        self._waiting: dict[str, Any] = {}

    def start(self, folder: Path, manifest: Manifest, config: Mapping[str, Any]) -> None:
        if self.mode == "disabled":
            return
        import wandb

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
                log.warning("W&B: %s; the run goes on offline, send it with `wandb sync %s/wandb/*`", reason, folder)
                wandb.teardown()  # else the id of the failed attempt counts as in use
        if self._run is None:
            self._run = self._init("offline", folder, manifest, config)
        self._run.define_metric("*", step_metric="step")

    def log(self, metrics: Metrics, step: int) -> None:
        if self._run is None:
            return
        values = {name: _as_wandb(value) for name, value in metrics.items()}
        self._run.log({"step": step, **values, **self._waiting})
        self._waiting = {}

    def table(self, name: str, result: Mapping[str, Any]) -> None:
        if self._run is None:
            return
        import wandb

        columns = [key for key, value in result.items() if not isinstance(value, Mapping)]
        rows = {"all": result, **result.get("tasks", {})}
        cells = [[task, *(_cell(row.get(column)) for column in columns)] for task, row in rows.items()]
        self._waiting["eval/table"] = wandb.Table(columns=["task", *columns], data=cells, allow_mixed_types=True)

    def episodes(self, name: str, gifs: Sequence[bytes]) -> None:
        if self._run is None or not gifs:
            return
        import wandb

        self._waiting["eval/episodes"] = [
            wandb.Video(io.BytesIO(data), caption=f"{name} {number}", format="gif") for number, data in enumerate(gifs)
        ]

    def finish(self, status: str, checkpoints: Checkpoints) -> None:
        if self._run is None:
            return
        if self._waiting:
            self._run.log(self._waiting)
        if self.checkpoint != "none":
            self._send_checkpoint(checkpoints)
        self._run.finish(exit_code=0 if status == "finished" else 1)
        self._run = None
        for name in self._kept_inside:
            os.environ.pop(name, None)

    def _init(
        self, mode: Literal["online", "offline"], folder: Path, manifest: Manifest, config: Mapping[str, Any]
    ) -> Any:
        import wandb

        return wandb.init(
            mode=mode,
            project=self.project,
            entity=self.entity,
            group=self.group,
            tags=self.tags,
            name=folder.name,
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


def _as_wandb(value: object) -> object:
    import wandb

    if isinstance(value, Histogram):
        return wandb.Histogram(np_histogram=(np.array(value.counts), np.array(value.edges)))
    if isinstance(value, Picture):
        return wandb.Image(value.pixels, caption=value.caption or None)
    return value


def _cell(value: object) -> object:
    return str(value) if isinstance(value, (list, tuple)) else value
