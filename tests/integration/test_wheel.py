"""The built package, away from the clone."""

import subprocess
import sys
import zipfile

import pytest

from tests.conftest import away, built

ROOMS = ("agents", "conf", "data_cleaning", "envs", "runners", "video")
BUILD = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"


def test_a_wheel_holds_the_rooms_with_their_data_and_nothing_else(source, wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    rooms = {file.relative_to(source).as_posix() for room in ROOMS for file in (source / room).rglob("*")
             if file.is_file()}
    packed = {name for name in names if not name.startswith("agentlab_runner-")}
    assert packed == {f"agentlab_runner/{name}" for name in rooms}
    assert "agentlab_runner/data_cleaning/example/orders.csv" in names
    assert "agentlab_runner/data_cleaning/command/page.html" in names
    assert "agentlab_runner/conf/exp/coso_android.yaml" in names


@pytest.mark.slow
def test_a_source_archive_makes_the_same_wheel(source, wheel, tmp_path):
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=source, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    names = [set(zipfile.ZipFile(file).namelist()) for file in (wheel, built(archive, tmp_path))]
    assert names[0] == names[1]


def test_experiments_are_listed_outside_the_clone(installed, tmp_path):
    done = subprocess.run([installed / "agentlab", "list"], cwd=tmp_path, env=away(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "coso_android " in done.stdout


def test_another_packages_agents_are_in_nobodys_way(installed, tmp_path):
    command = [installed / "agentlab", "show", "+exp=coso_android", "--resolve"]
    done = subprocess.run(command, cwd=tmp_path, env=away(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "_target_: agentlab_runner.agents.coso.agent.CosoAgent" in done.stdout
    command = [installed / "python", "-c", "import agents"]
    theirs = subprocess.run(command, cwd=tmp_path, env=away(), capture_output=True, text=True)
    assert "somebody else's" in theirs.stderr
