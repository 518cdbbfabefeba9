"""What every test may use."""

import os
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; threads of tests side by side spin
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background, and handed on to every command
    signal.signal(signal.SIGINT, signal.default_int_handler)
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


def environment() -> dict[str, str]:
    """The environment of a command run by a test: this checkout, one thread, no settings of the developer."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTLAB_", "WANDB_"))}
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return own | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}


def agentlab(*args: str, cwd: Path, env: Mapping[str, str], timeout: float = 300) -> Result:
    """`agentlab ARGS` as a user runs it, in a process of its own."""
    command = [sys.executable, "-m", "agentlab_runner.runners", *args]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli_env() -> dict[str, str]:
    """What `cli` passes as environment; a test may add to it."""
    return environment()


@pytest.fixture
def cli(tmp_path: Path, cli_env: dict[str, str]) -> Callable[..., Result]:
    """`agentlab ARGS` in an empty folder."""
    return lambda *args: agentlab(*args, cwd=tmp_path, env=cli_env)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this checkout that git keeps or would keep, without anything built."""
    folder = tmp_path_factory.mktemp("source")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from `source`."""
    return built(source, tmp_path_factory.mktemp("wheel"))


def built(source: Path, out: Path) -> Path:
    """The wheel of a source folder or archive, with the build tools of this environment."""
    subprocess.run([*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, source], check=True)
    (wheel,) = out.glob("agentlab_runner-*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a virtual environment with the wheel and the dependencies of this one.

    Others have taken the bare names of the rooms there, as `openai-agents` does with `agents`.
    """
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    theirs = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (site / "theirs.pth").write_text(f"{theirs}\n")
    command = [*PIP, "--python", home / "bin" / "python", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(command, check=True)
    for name in ("agents", "conf", "data_cleaning", "envs", "runners", "video"):
        (site / name).mkdir()
        (site / name / "__init__.py").write_text(f"raise RuntimeError('{name} is somebody else\'s')\n")
    return home / "bin"


def away() -> dict[str, str]:
    """The environment of a command that is to see nothing of this checkout."""
    return {name: value for name, value in environment().items() if name != "PYTHONPATH"}
