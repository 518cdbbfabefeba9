"""A run that starts from what another run has learnt."""

import json
import shutil

import pytest
import torch
from omegaconf import OmegaConf

from agentlab_runner.runners.config.identity import config_hash
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.online.experiment import OnlineExperiment
from agentlab_runner.runners.online.origin import pinned, refuse_latest
from agentlab_runner.runners.run.folder import Run
from tests.runners.online.test_online import config, numbers, train


@pytest.fixture
def source(tmp_path):
    """A run of six iterations whose checkpoints 2, 4 and 6 are kept, and 0 if it is the best."""
    return train(config(), tmp_path / "runs/first")


def following(tmp_path, init_from="first", **changes):
    cfg = config(runs_dir=str(tmp_path / "runs"), init_from=init_from, seed=8, total_iterations=2, **changes)
    return pinned(cfg)


def logits(run, which):
    return run.load_checkpoint(which)[1]["agent"]["logits"]


def test_the_weights_of_the_checkpoint_named_are_taken_and_nothing_else(tmp_path, source):
    run = train(following(tmp_path, "first@4"), tmp_path / "runs/second")
    start = run.load_checkpoint("0")[1]["agent"]
    torch.testing.assert_close(start["logits"], logits(source, "4"))
    assert start["learned"] == 0
    kept = source.checkpoints.find("4")
    origin = {"run": str(source.path), "step": 4, "sha256": kept.sha256}
    assert Run.open(run.path).manifest["init_from"] == origin


def test_without_a_checkpoint_the_best_is_taken_and_written_down(tmp_path, source):
    cfg = following(tmp_path, "latest")
    assert cfg.init_from == f"{source.path}@{source.checkpoints.find('best').step}"
    other = following(tmp_path, "first@4")
    assert config_hash(OmegaConf.to_container(cfg)) != config_hash(OmegaConf.to_container(other))


def test_a_resumed_run_needs_its_source_no_more(tmp_path, source):
    whole = train(following(tmp_path), tmp_path / "runs/whole")
    broken = following(tmp_path, **{"agent.crash_at": 2, "checkpoint.every": 1})
    with pytest.raises(RuntimeError, match="out of luck"):
        train(broken, tmp_path / "runs/broken")
    cfg = Run.open(whole.path).config
    shutil.rmtree(source.path)
    with Run.open(tmp_path / "runs/broken") as run:
        OnlineExperiment(cfg).train(run)
    assert numbers(run) == numbers(whole)


def as_before_its_first_checkpoint(run):
    shutil.rmtree(run.path / "checkpoints")
    manifest = json.loads((run.path / "manifest.json").read_text()) | {"resumed": []}
    del manifest["saved"]
    (run.path / "manifest.json").write_text(json.dumps(manifest))


def test_a_run_stopped_before_its_first_checkpoint_starts_from_the_same_one(tmp_path, source):
    cfg = config(runs_dir=str(tmp_path / "runs"), init_from="first@last", seed=8, total_iterations=2)
    run = train(cfg, tmp_path / "runs/second")
    as_before_its_first_checkpoint(run)
    with source:  # goes on meanwhile, so that another one is the last
        source.save_checkpoint(7, {"agent": {"logits": torch.ones(5), "learned": 7}, "env_steps": 0})
    with Run.open(run.path) as run:
        OnlineExperiment(cfg).train(run)
    torch.testing.assert_close(logits(run, "0"), logits(source, "6"))
    as_before_its_first_checkpoint(run)
    for file in (source.path / "checkpoints").glob("000006*"):
        file.unlink()
    with Run.open(run.path) as run, pytest.raises(UserError, match=r"began from checkpoint 6 of .*, which is gone"):
        OnlineExperiment(cfg).train(run)


@pytest.mark.parametrize(
    ("init_from", "sentence"),
    [("nowhere", "init_from=nowhere: nowhere is not a run folder"), ("first@5", "no checkpoint '5'")],
)
@pytest.mark.usefixtures("source")
def test_what_is_not_there_is_refused(tmp_path, init_from, sentence):
    with pytest.raises(UserError, match=sentence):
        following(tmp_path, init_from)


def test_another_agent_or_shape_is_refused(tmp_path, source):
    with pytest.raises(UserError, match=r"first has trained tests.runners.toy.Gambler, from whose weights .* cannot"):
        following(tmp_path, **{"agent._target_": "tests.runners.team.Team"})
    with source:
        source.save_checkpoint(9, {"agent": {"logits": torch.zeros(7), "learned": 9}, "env_steps": 0})
    with pytest.raises(UserError, match=r"the weights of .*first@9 do not fit; .* \(ValueError: other logits\)"):
        train(following(tmp_path, "first@9"), tmp_path / "runs/second")


def test_jobs_name_the_run_they_start_from():
    refuse_latest(OmegaConf.create({"init_from": "first"}))
    for moving in ("latest", "latest@best"):
        with pytest.raises(UserError, match="name the one they start from"):
            refuse_latest(OmegaConf.create({"init_from": moving}))
