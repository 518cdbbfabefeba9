"""What is missing is named by what brings it, and never by a package that somebody else may publish."""

import shlex
import subprocess

import pytest
from packaging.requirements import Requirement

from agentlab_runner.runners.config import extras
from agentlab_runner.runners.launch import describe
from tests.conftest import ROOT, away

PHONE = """import sys
def connect(**_):
    sys.modules["adbutils"] = None
    AdbPhone()
"""


def missing(module: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {module!r}", name=module)


@pytest.mark.parametrize(("module", "extra"), [("android_env.components", "android"), ("duckdb", "cleaning"),
                                              ("raha", "peers"), ("ray", "ray"), ("textworld", "alfworld")])
def test_a_missing_module_is_brought_by_its_extra(module, extra):
    assert extras.remedy(missing(module)) == f"pip install -e '.[{extra}]'"


def test_what_no_extra_brings_has_no_remedy():
    assert extras.remedy(missing("bandit")) == extras.remedy(ValueError("no")) == ""


def test_faults_that_are_each_others_cause_end():
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert extras.remedy(one) == ""


def test_the_remedy_stands_behind_what_an_environment_says():
    try:
        raise ConnectionError("no adbutils, no phone") from missing("adbutils")
    except ConnectionError as fault:
        said = describe(fault)
    assert said.endswith("no adbutils, no phone; install what is missing with: pip install -e '.[android]'")


def test_an_extra_of_extras_names_what_they_need():
    assert {"adbutils", "duckdb", "pytest"} <= {need.name for need in extras.extras()["dev"]}


def test_without_a_checkout_the_packages_are_named(installed, tmp_path):
    code = "from agentlab_runner.runners.config.extras import install; print(install('optuna')); print(install('dev'))"
    command = [installed / "python", "-c", code]
    said = subprocess.run(command, cwd=tmp_path, env=away(), capture_output=True, text=True, check=True).stdout
    optuna, dev = map(shlex.split, said.splitlines())
    assert optuna[:2] == ["pip", "install"]
    assert [Requirement(text) for text in optuna[2:]] == extras.extras()["optuna"]
    assert [Requirement(text) for text in dev[2:]] == extras.extras()["dev"]


@pytest.mark.parametrize("room", ["agents", "benchmarks", "conf", "data_cleaning", "docs", "envs", "runners"])
def test_nobody_is_told_to_install_a_package_of_our_name(room):
    pages = [file for suffix in ("py", "md", "yaml") for file in (ROOT / room).rglob(f"*.{suffix}")]
    assert [page for page in pages if "agentlab-runner[" in page.read_text("utf-8")] == []


def test_a_run_without_the_extra_says_how_to_get_it(cli, tmp_path):
    (tmp_path / "conf" / "exp").mkdir(parents=True)
    (tmp_path / "phone.py").write_text(f"from agentlab_runner.envs.android.devices.adb import AdbPhone\n{PHONE}")
    (tmp_path / "conf" / "exp" / "phone.yaml").write_text(
        "# @package _global_\ntotal_iterations: 1\nlogger: null\nexperiment: {_target_: phone.connect}\n"
    )
    done = cli("train", "+exp=phone", "~trainer", "~agent")
    assert done.exit_code == 1
    assert done.stderr == (
        "agentlab: the package adbutils is missing, without which no phone can be reached; "
        "install what is missing with: pip install -e '.[android]'\n"
    )
