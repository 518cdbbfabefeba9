"""Files of the released code: settings become overrides, trajectories become episodes, damage is refused by name."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from agentlab_runner.agents.coso.released import convert, load_trajectories
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import StopReason

DEFAULT = """
task_set: "webshop"
max_steps: 20
capacity: 2000
batch_size: 4
bsize: 4
grad_accum_steps: 32
epochs: 5
lm_lr: 1e-4
max_grad_norm: 0.01
use_entropy: False
use_causal: False
entropy_coeff: 1.0
causal_pretrain: 500
policy_lm: '/home/me/Auto-UI-Base'
wandb_key: ''
"""
RUN = """
defaults:
  - default
  - _self_
train_algorithm: "digirl"
train_mode: "off2on"
use_entropy: True
use_causal: True
offline_data_path: "/home/me/it's here/webshop.pt"
offline_actor_iterations: 30
train_iterations: 400
parallel: "host"
frobnicate: 3
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "default.yaml").write_text(DEFAULT)
    (tmp_path / "run.yaml").write_text(RUN)
    return tmp_path / "run.yaml"


def test_settings_become_overrides_hydra_reads(settings, caplog):
    with caplog.at_level(logging.WARNING):
        overrides = convert(settings)
    parsed = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(overrides)}
    assert overrides[0] == "agent=coso_released"
    assert parsed["env.task_set"] == "webshop"
    assert parsed["env.horizon"] == 20
    assert parsed["agent.batch_size"] == 128
    assert parsed["agent.micro_batch"] == 4
    assert parsed["agent.lr"] == 1e-4
    assert parsed["agent.max_grad_norm"] == parsed["agent.scm.max_grad_norm"] == 0.01
    assert parsed["agent.entropy"] == "causal"
    assert parsed["agent.offline.actor_rounds"] == 30
    assert parsed["model.name"] == "/home/me/Auto-UI-Base"
    assert parsed["offline"]["source"]["path"] == "/home/me/it's here/webshop.pt"
    assert "frobnicate" in caplog.text
    assert "parallel" in caplog.text
    assert "wandb_key" not in caplog.text


@pytest.mark.parametrize(
    ("flags", "entropy"),
    [
        ("use_entropy: false", "none"),
        ("use_entropy: true", "uniform"),
        ("use_entropy: true\nuse_causal: true", "causal"),
    ],
)
def test_entropy_flags(tmp_path, flags, entropy):
    (tmp_path / "a.yaml").write_text(flags)
    assert f"agent.entropy={entropy}" in convert(tmp_path / "a.yaml")


@pytest.mark.parametrize("content", ["- a list", "key: [", "!!python/object/apply:os.getcwd []"])
def test_bad_settings_files_are_named(tmp_path, content):
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(UserError, match=r"bad\.yaml"):
        convert(tmp_path / "bad.yaml")


def step(folder: Path, number: int, reward: float) -> dict:
    picture = folder / f"{number}.png"
    Image.new("RGB", (108, 228), (number, 0, 0)).save(picture)
    return {
        "observation": f"Previous Actions: none Goal: search {number}</s>",
        "next_observation": f"Previous Actions: none Goal: search {number + 1}</s>",
        "image_features": torch.zeros(1408),
        "next_image_features": torch.zeros(1408),
        "image_path": str(picture),
        "video_path": "",
        "task": "search for shoes",
        "reward": np.float64(reward),
        "done": reward > 0,
        "action": 'Action Decision: "action_type": "PRESS_HOME"',
    }


@pytest.fixture
def episodes(tmp_path: Path) -> list[list[dict]]:
    return [[step(tmp_path, 0, 0.0), step(tmp_path, 1, 1.0)], [], [step(tmp_path, 2, 0.0)]]


def test_trajectories_become_episodes(tmp_path, episodes):
    torch.save(episodes, tmp_path / "t.pt")
    won, lost = load_trajectories(tmp_path / "t.pt", max_side=114)
    assert (won.success, won.stop, won.goal) == (True, StopReason.SUCCESS, "search for shoes")
    assert (lost.success, lost.stop) == (False, StopReason.HORIZON)
    assert won.steps[1].observation["text"] == "Previous Actions: none Goal: search 1"
    assert won.steps[1].observation["image"].shape == (114, 54, 3)
    assert won.final_observation["text"].endswith("search 2")
    assert won.steps[0].decision.action.startswith("Action Decision")


def test_screenshots_may_have_moved_or_be_missing(tmp_path, episodes):
    torch.save(episodes, tmp_path / "t.pt")
    (tmp_path / "moved").mkdir()
    for picture in tmp_path.glob("*.png"):
        picture.rename(tmp_path / "moved" / picture.name)
    with pytest.raises(UserError, match="images="):
        load_trajectories(tmp_path / "t.pt")
    assert "image" in load_trajectories(tmp_path / "t.pt", images=tmp_path / "moved")[0].steps[0].observation
    bare = load_trajectories(tmp_path / "t.pt", features_only=True)[0].steps[0].observation
    assert bare["image_features"].shape == (1408,)


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("sprung"),))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_programs_in_a_file_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save([[{"action": Trap()}]], "evil.pt")
    with pytest.raises(UserError, match="allow_pickle=true"):
        load_trajectories("evil.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match=r"plain\.pkl"):
        load_trajectories("plain.pkl")
    assert not (tmp_path / "sprung").exists()


def test_pickles_load_on_request(tmp_path, episodes):
    episodes[0][0]["extra"] = Path("anything")
    torch.save(episodes, tmp_path / "t.pt")
    with pytest.raises(UserError, match="allow_pickle"):
        load_trajectories(tmp_path / "t.pt")
    assert len(load_trajectories(tmp_path / "t.pt", allow_pickle=True)) == 2


def test_damaged_and_foreign_files_are_refused_by_name(tmp_path, episodes):
    torch.save(episodes, tmp_path / "t.pt")
    whole = (tmp_path / "t.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut\.pt is damaged"):
        load_trajectories(tmp_path / "cut.pt")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt holds no list"):
        load_trajectories(tmp_path / "other.pt")
    with pytest.raises(UserError, match="there is no trajectory file"):
        load_trajectories(tmp_path / "none.pt")
    del episodes[0][0]["action"]
    torch.save(episodes, tmp_path / "short.pt")
    with pytest.raises(UserError, match="'action'"):
        load_trajectories(tmp_path / "short.pt")
