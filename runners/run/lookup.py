"""The run somebody names."""

import logging
from pathlib import Path

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.folder import JOURNAL, Run
from agentlab_runner.runners.run.manifest import Manifest, moment, read_manifest

log = logging.getLogger(__name__)


def folder_named(name: str, root: Path) -> Path:
    """The folder of the run called `latest`, a folder, or the folder of that name under `root`, where runs are made.

    Raises:
        UserError: if `latest` is asked for and there is no run.
    """
    if name == "latest":
        return latest(root).path
    path = Path(name).expanduser()
    return path if path.exists() or not (root / path).exists() else root / path


def latest(root: Path | str) -> Run:
    """The run under `root` that was started last, those left aside that failed before they had begun.

    A folder whose manifest cannot be read is told of and left out.

    Raises:
        UserError: if there is none.
    """
    found: dict[Path, Manifest] = {}
    for file in Path(root).glob("[!.]*/manifest.json"):
        try:
            found[file.parent] = read_manifest(file.parent)
        except UserError as fault:
            log.warning("%s is left out: %s", file.parent, fault)
    if not found:
        raise UserError(f"there is no run in {root}; start one with `agentlab train +exp=NAME`, or name its folder")
    newest_first = sorted(
        found, key=lambda folder: (moment(found[folder]["started"]) or 0.0, folder.name), reverse=True
    )
    for folder in newest_first:
        if has_begun(folder) or found[folder]["status"] != "failed":
            return Run.open(folder)
    raise UserError(
        f"every run in {root} failed before it had begun; to start one again name it: run={newest_first[0]}"
    )


def has_begun(folder: Path) -> bool:
    """Whether a run has left something that was computed: a logged line, an episode, a checkpoint or an evaluation."""
    return any(
        next((folder / place).glob(pattern), None) is not None
        for place, pattern in ((".", "metrics.jsonl"), (".", JOURNAL), ("checkpoints", "*.json"), ("eval", "*.json"))
    )
