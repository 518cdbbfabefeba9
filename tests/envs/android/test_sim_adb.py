"""The simulated phone is the same phone whether it is called or reached through adb."""

import io
import subprocess
from functools import partial

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from agentlab_runner.envs import android
from agentlab_runner.envs.android.actions import AitwParser, tap
from agentlab_runner.envs.android.device import DeviceUnavailable, Key
from agentlab_runner.envs.android.devices.adb_server import Fault, FaultPlan, PhoneServer, State
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.devices.sim_adb import SERIAL, SimAdbPhone
from agentlab_runner.envs.android.evaluators import Programmatic
from agentlab_runner.envs.android.scripted_user import ScriptedUser
from agentlab_runner.envs.android.ui_xml import from_xml
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError

adbutils = pytest.importorskip("adbutils")
PARSER = AitwParser()


@pytest.fixture
def make():
    made = []

    def build(device, **options):
        options = {"task_set": "all", "split": "test", "sampling": "sequential", "observation": "both", **options}
        made.append(android.make(device=device, evaluator=Programmatic(), parser=PARSER, **options))
        return made[-1]

    yield build
    for env in made:
        env.close()


def twins(make, faults=None):
    """The same environment on the phone itself and through adb, with pop-ups and slow pages."""
    weather = {"popup_rate": 0.3, "slow_rate": 0.3}
    return make(SimPhone(**weather)), make(SimAdbPhone(faults=faults, retry_wait=0.01, **weather))


def play(near, far, episode):
    """One episode by the scripted user on the near phone, step for step on the far one; gives both last infos."""
    user = ScriptedUser()
    seen, info = near.reset(seed=episode, options={"episode": episode})
    other, other_info = far.reset(seed=episode, options={"episode": episode})
    user.begin(near, episode)
    over = False
    while not over:
        assert other["text"] == seen["text"]
        assert np.array_equal(other["image"], seen["image"])
        assert other_info == info
        action = user.decide(near)
        seen, _, terminated, truncated, info = near.step(action)
        other, *_, other_info = far.step(action)
        over = terminated or truncated
    assert other_info == info
    return info


def test_the_scripted_user_sees_and_solves_the_same_through_adb(make):
    near, far = twins(make)
    assert [play(near, far, episode)["success"] for episode in range(6)] == [True] * 6


def test_passing_faults_do_not_change_an_episode(make):
    at = dict(zip(range(5, 60, 6), [Fault.DROP, Fault.GARBAGE, Fault.SLOW] * 4, strict=False))
    near, far = twins(make, FaultPlan(at, delay=0.01))
    assert play(near, far, 0)["success"]


def test_unplugged_in_mid_episode_then_plugged_in_again(make):
    env = make(SimAdbPhone(retry_wait=0.01))
    phone = env.unwrapped.device
    env.reset(seed=0)
    phone.server.set_state(SERIAL, State.OFFLINE)
    *_, truncated, info = env.step(PARSER.render(tap(0.5, 0.5)))
    assert truncated
    assert info["stop"] == "device_lost"
    assert "offline" in info["reason"]
    with pytest.raises(DeviceUnavailable, match="offline"):
        env.reset(seed=1)
    phone.server.set_state(SERIAL, State.DEVICE)
    _, info = env.reset(seed=1)
    assert info["goal"]


def test_trees_and_activities_agree_through_adb():
    near, far = SimPhone(popup_rate=0, slow_rate=0), SimAdbPhone(popup_rate=0, slow_rate=0)
    try:
        for phone in (near, far):
            phone.reset(None, 5)
            phone.tap(200, 700)
            phone.keyevent(Key.HOME)
            phone.swipe(540, 1600, 540, 600)
        assert far.ui_tree() == near.ui_tree()
        assert far.current_activity() == near.current_activity()
        assert far.shell("getprop ro.product.model") == near.shell("getprop ro.product.model")
    finally:
        far.close()


def test_the_real_adb_binary_operates_a_simulated_phone(tmp_path):
    phone = SimPhone(scale=1.0, popup_rate=0, slow_rate=0)
    with PhoneServer({SERIAL: phone}) as server:
        def adb(*arguments, text=True):
            command = [adbutils.adb_path(), "-P", str(server.port), *arguments]
            return subprocess.run(command, capture_output=True, text=text, timeout=60, stdin=subprocess.DEVNULL)

        width, height = Image.open(io.BytesIO(adb("exec-out", "screencap", "-p", text=False).stdout)).size
        assert adb("shell", "wm", "size").stdout.split() == ["Physical", "size:", f"{width}x{height}"]
        adb("shell", "am", "start", "-a", "android.settings.SETTINGS")
        assert "settings" in phone.current_activity()
        adb("shell", "uiautomator", "dump", "/sdcard/window_dump.xml")
        assert adb("pull", "/sdcard/window_dump.xml", str(tmp_path / "dump.xml")).returncode == 0
        assert from_xml((tmp_path / "dump.xml").read_text()) == phone.ui_tree()
        before = phone.current_activity()
        adb("shell", "input", "keyevent", "KEYCODE_HOME")
        assert phone.current_activity() != before
        assert adb("shell", "cat /nowhere && echo no || echo yes").stdout.endswith("yes\n")


def composed(*overrides):
    return OmegaConf.to_container(compose(overrides, config="env/android").env, resolve=True)


@pytest.mark.parametrize("device", ["sim", "sim_adb"])
def test_the_config_builds_an_environment(device):
    node = composed(f"env/device={device}")
    del node["num_envs"]
    env = instantiate(node, worker=1, _convert_="all")
    _, info = env.reset(seed=0)
    assert info["goal"]
    assert env.metadata["blocking"] is (device == "sim_adb")
    env.close()


def test_real_phones_get_the_wait_for_white_screens_and_their_worker():
    node = composed("env/device=adb")
    assert node["white_wait"] == 5.0
    with PhoneServer({SERIAL: SimPhone(), "emulator-5556": SimPhone()}) as server:
        device = instantiate(node["device"], port=server.port, retry_wait=0.0, settle=0.0)
        assert isinstance(device, partial)
        env = android.make(worker=1, device=device, evaluator=Programmatic(), parser=PARSER)
        assert env.unwrapped.device.serial == "emulator-5556"


@pytest.mark.parametrize("overrides", [
    ["env.horizon=0"], ["env.split=dev"], ["env.num_envs=0"], ["env.parser.mode=lenient"], ["env.device.scale=2"],
    ["env.device.popup_rate=-1"], ["env/device=adb", "env.device.port=0"], ["env/device=adb", "env.device.retries=-1"],
    ["env/evaluator=judge", "env.evaluator.model=m", "env.evaluator.base_url=here"],
    ["env/device=android_env", "env.device.scale=0"], ["env/device=sim_adb", "env.device.timeout=0"],
])
def test_a_refused_option_is_named_with_what_it_may_be(overrides):
    with pytest.raises(UserError) as caught:
        compose(overrides, config="env/android")
    assert str(caught.value).startswith(overrides[-1].split("=")[0])


@pytest.mark.parametrize("device", ["sim", "sim_adb", "adb", "android_env"])
def test_every_device_composes(device):
    assert "_target_" in composed(f"env/device={device}")["device"]


def test_phone_serve_is_configured():
    node = OmegaConf.to_container(compose([], config="phone/sim").phone, resolve=True)
    said, stop = [], __import__("threading").Event()
    stop.set()
    instantiate({**node, "port": 0}, report=said.append, stop=stop)
    assert "emulator-5554" in said[0]
