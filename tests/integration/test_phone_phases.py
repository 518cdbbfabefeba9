"""Offline, then online: from episodes the policy plays, or from a trajectory file of the released code."""

import json

import pytest
import torch
from PIL import Image

from tests.integration.conftest import numbers

RELEASED = """
task_set: "webshop"
max_steps: 20
batch_size: 4
grad_accum_steps: 32
use_entropy: True
use_causal: True
use_lora: True
policy_lm: "/models/Auto-UI-Base"
train_algorithm: "digirl"
train_mode: "{mode}"
train_iterations: 400
offline_data_path: "/data/webshop.pt"
"""


def test_offline_phase_without_entropy_then_online_with_it(lab):
    rounds = [f"agent.offline.{name}_rounds=1" for name in ("instruction_critic", "critic", "actor")]
    lab.train("offline.episodes=8", *rounds, "total_iterations=1", exp="coso_android_off2on")
    lines = numbers(lab.run)
    assert [line["step"] for line in lines] == [0, 0, 0, 1]
    assert "critic/step_loss" in lines[1]
    assert "actor/loss" in lines[1]
    assert not any(name.startswith("causal/") or name == "actor/entropy_weighted" for name in lines[1])
    assert "actor/entropy_weighted" in lines[3]


@pytest.fixture
def released_episodes(tmp_path):
    """Two episodes as the released code keeps them; the second has succeeded."""
    Image.new("RGB", (108, 228), "white").save(tmp_path / "screen.png")
    home = 'Action Decision: "action_type": "PRESS_HOME", "touch_point": "[-1.0, -1.0]", "lift_point": "[-1.0, -1.0]", '
    step = {
        "observation": "Previous Actions: Goal: open the clock</s>",
        "next_observation": "Previous Actions: Goal: open the clock</s>",
        "image_features": torch.zeros(1408),
        "next_image_features": torch.zeros(1408),
        "image_path": str(tmp_path / "screen.png"),
        "video_path": "",
        "task": "open the clock",
        "done": True,
        "action": home + '"typed_text": ""',
    }
    torch.save([[step | {"reward": 0.0}], [step | {"reward": 1.0}]], tmp_path / "episodes.pt")
    return tmp_path / "episodes.pt"


def test_offline_alone_from_a_released_file(lab, released_episodes):
    source = ["+episodes=released", f"offline.source.path={released_episodes}"]
    lab.train(*source, "total_iterations=0", "agent.offline.actor_rounds=2")
    lines = numbers(lab.run)
    assert [line["step"] for line in lines] == [0, 0, 0]
    assert "actor/loss" in lines[1]
    assert "eval/success" in lines[2]
    assert "eval/success" in json.loads(lab("eval", "run=latest", "--json").stdout)["metrics"]


def test_a_run_folder_cannot_have_a_pickle_run(lab, released_episodes):
    inline = f"{{_target_: agentlab_runner.agents.coso.released.load_trajectories, path: {released_episodes}"
    lab.train(f"offline={{source: {inline}, allow_pickle: true}}}}", "total_iterations=0")
    lab("resume", "run=latest")
    lab.run.rename(lab.run.with_name("received"))
    refused = lab("resume", "run=latest", code=2).stderr
    assert "sets offline.source.allow_pickle to True, which is for you to decide" in refused
    lab("resume", "run=latest", "offline.source.allow_pickle=true")


@pytest.mark.parametrize("mode", ["online", "offline", "off2on"])
def test_released_settings_become_a_command_that_composes(lab, mode):
    (lab.path / "digirl.yaml").write_text(RELEASED.format(mode=mode))
    command = lab("import", "digirl", "digirl.yaml").stdout
    assert command.startswith("agentlab train +exp=coso_android_gpu agent=coso_released ")
    assert ("total_iterations=0" in command) is (mode == "offline")
    assert ("released.load_trajectories" in command) is (mode != "online")
    page = lab("import", "digirl", "digirl.yaml", "--exp").stdout
    (lab.path / "conf" / "exp").mkdir(parents=True)
    (lab.path / "conf" / "exp" / "mine.yaml").write_text(page)
    shown = json.loads(lab("show", "+exp=mine", "--resolve", "--json").stdout)
    assert (shown["offline"] is None) is (mode == "online")
    assert shown["agent"]["batch_size"] == 128
    assert shown["model"]["name"] == "/models/Auto-UI-Base"
    assert shown["warm_start"] is None
