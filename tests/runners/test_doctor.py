"""The doctor on machines that have, and lack, what it looks for."""

import json
import socket
import threading
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from agentlab_runner.envs.browser import chromium
from agentlab_runner.runners import doctor
from agentlab_runner.runners.config import extras
from agentlab_runner.runners.errors import UserError

CONF = str(Path(__file__).parent / "conf")


def test_a_browser_that_is_found_here_is_found_by_the_environments():
    assert doctor.BROWSERS == chromium.NAMES


def test_doctor_lists_the_machine_and_what_each_experiment_lacks(cli, cli_env):
    cli_env |= {"AGENTLAB_CONF": CONF, "NETRC": "/nowhere"}
    said = json.loads(cli("doctor", "--json").stdout)
    checks = {check["name"]: check for check in said["machine"]}
    assert {"cores", "memory", "torch", "cuda", "kvm", "adb", "adb devices", "chromium", "wandb"} <= set(checks)
    assert checks["torch"]["state"] == "ok"
    assert "not logged in" in checks["wandb"]["detail"]
    assert said["experiments"]["counting"] == []
    lacks = said["experiments"]["greedy"]
    assert all(check["state"] != "missing" or check["fix"] for check in checks.values())
    assert any(problem.startswith("extra:ray") for problem in lacks) == (checks["extra:ray"]["state"] == "missing")
    plain = cli("doctor").stdout
    assert "counting" in plain
    assert "model hub" not in plain


def test_phones_are_read_off_a_running_adb_server(monkeypatch):
    listed = b"emulator-5554\tdevice\nR58M\tunauthorized\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(100))
                connection.sendall(b"OKAY" + f"{len(listed):04x}".encode() + listed)

        threading.Thread(target=answer, daemon=True).start()
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.getsockname()[1]))
        found = doctor.devices()
    assert asked == [b"000chost:devices"]
    assert (found.state, found.detail) == ("ok", "emulator-5554 (device), R58M (unauthorized)")


def test_a_missing_adb_server_is_told_with_what_to_do(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    assert doctor.lacking("adb") == (
        f"adb devices: no adb server on port {port}; "
        "start one with adb start-server, or a simulated phone with agentlab phone serve"
    )


@pytest.mark.parametrize("said", ["abc", "", "0", "65536", "²"])
def test_a_port_that_is_none_is_told_of(monkeypatch, said):
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", said)
    assert doctor.devices().detail == f"ANDROID_ADB_SERVER_PORT is {said!r}"


@pytest.mark.parametrize(("text", "said"), [("machine api.wandb.ai login user password x\n", "logged in"), ("", "not")])
def test_wandb_login_is_read_from_netrc(monkeypatch, tmp_path, text, said):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    (tmp_path / "netrc").write_text(text)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert doctor.wandb().detail.startswith(said)


def test_an_extra_names_what_it_lacks(monkeypatch, tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[project.optional-dependencies]\nmoon = ["lunar-lander>=1", "numpy>=1"]\nnow = ["numpy"]\n')
    monkeypatch.setattr(extras, "CHECKOUT", project)
    assert doctor.extra("now").state == "ok"
    missing = doctor.extra("moon")
    assert (missing.state, missing.detail) == ("missing", "without lunar-lander")
    assert missing.fix == "pip install -e '.[moon]'"
    assert "none of adb, cuda, cuda:N, chromium, kvm, extra:NAME" in (doctor.lacking("extra:sun") or "")


def test_gpus_are_counted(monkeypatch):
    monkeypatch.setattr(doctor, "hardware", lambda: {"gpu": ["A100", "A100"]})
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert doctor.lacking("cuda:2") is None
    assert doctor.lacking("cuda:4") == "cuda: 2 of 4 GPUs; use trainer.processes=2, or trainer=gpu"
    monkeypatch.setattr(doctor, "hardware", lambda: {"gpu": []})
    assert "no NVIDIA GPU" in (doctor.lacking("cuda:4") or "")


def test_a_gpu_is_required_only_of_a_trainer_that_is_to_use_one(monkeypatch):
    monkeypatch.setattr(doctor, "hardware", lambda: {"gpu": []})
    gpu = OmegaConf.create({"requires": ["cuda:2"], "trainer": {"device": "cuda"}})
    with pytest.raises(UserError, match=r"requires cuda:2, but: cuda: no NVIDIA GPU; .* \(requires="):
        doctor.refuse_unmet(gpu)
    gpu.trainer.device = "cpu"
    doctor.refuse_unmet(gpu)
    monkeypatch.setattr(doctor, "devices", lambda: doctor.Check("adb devices", "missing", "none"))
    doctor.refuse_unmet(OmegaConf.create({"requires": ["adb"]}))
    assert doctor.unmet(gpu) == {}
