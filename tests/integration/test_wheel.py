"""The built package, away from the clone."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment

pytestmark = pytest.mark.slow


def test_a_wheel_lists_experiments_outside_the_clone(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", source], check=True)
    subprocess.run(
        [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True
    )
    (wheel,) = tmp_path.glob("agentlab_runner-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    listing = ["git", "ls-files", "conf", "runners"]
    tracked = subprocess.run(listing, cwd=source, capture_output=True, text=True, check=True)
    assert {name for name in tracked.stdout.split() if not name.endswith(".py")} <= names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)

    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    theirs = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (site / "theirs.pth").write_text(f"{theirs}\n")
    python = home / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    away = tmp_path / "away"
    away.mkdir()
    env = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    done = subprocess.run([home / "bin" / "agentlab", "list"], cwd=away, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "coso_android " in done.stdout
