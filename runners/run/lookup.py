"""The run somebody names."""

from pathlib import Path

from agentlab_runner.runners.run.folder import Run


def folder_named(name: str, root: Path) -> Path:
    """The folder of the run called `latest`, a folder, or the folder of that name under `root`, where runs are made.

    Raises:
        UserError: if `latest` is asked for and there is no run.
    """
    if name == "latest":
        return Run.latest(root).path
    path = Path(name).expanduser()
    return path if path.exists() or not (root / path).exists() else root / path
