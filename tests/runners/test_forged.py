"""Run folders whose files say things of the wrong kind: bad input, told in one sentence, and nothing is computed."""

import json
import shutil

import pytest
import yaml

from agentlab_runner.runners.config.identity import config_hash
from tests.conftest import ROOT, agentlab, environment

GONE = object()
CONF = str(ROOT / "tests/runners/conf")


@pytest.fixture
def lab(cli, cli_env):
    cli_env["AGENTLAB_CONF"] = CONF
    return cli


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A run as it was made."""
    folder = tmp_path_factory.mktemp("honest")
    env = environment() | {"AGENTLAB_CONF": CONF}
    assert agentlab("train", "+exp=gamble", "total_iterations=1", cwd=folder, env=env).exit_code == 0
    [run] = (folder / "runs").iterdir()
    return run


@pytest.fixture
def run(honest, tmp_path):
    """A copy of it for one test."""
    return shutil.copytree(honest, tmp_path / "runs" / honest.name)


def forge(file, key, value):
    """Write what somebody else could have: a config with the hash that belongs to it."""
    content = yaml.safe_load(file.read_text())
    *path, last = key.split(".")
    node = content
    for name in path:
        node = node[name]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    file.write_text(json.dumps(content))  # which is YAML, too
    if file.name == "config.yaml":
        forge(file.with_name("manifest.json"), "config_hash", config_hash(content))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("seed", "x", 'seed is "x", but must be'),
        ("seed", GONE, "seed has no value; add seed=VALUE"),
        ("total_iterations", [1], "total_iterations is [1], but must be"),
        ("checkpoint.keep", "all", "checkpoint.keep is 'all', but"),
        ("trainer.device", 5, "trainer.device is 5, but must be"),
        ("eval", None, "eval"),
        ("env", 5, "env"),
        ("agent", "x", "agent"),
        ("trainer", [], "trainer"),
    ],
)
def test_a_forged_config_is_bad_input(lab, run, key, value, sentence):
    forge(run / "config.yaml", key, value)
    for verb in ("resume", "eval"):
        told = lab(verb, f"run={run}")
        assert (told.exit_code, told.stderr.count("\n")) == (2, 1), told.stderr
        assert sentence in told.stderr


def test_a_manifest_that_says_nothing_of_its_end_is_none_the_worse(lab, run):
    forge(run / "manifest.json", "ended", GONE)
    forge(run / "manifest.json", "seconds", None)
    assert lab("compare", str(run)).exit_code == 0
    assert lab("resume", f"run={run}", "total_iterations=2").exit_code == 0
