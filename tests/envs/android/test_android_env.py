"""The android_env backend: DeepMind's own environment, coordinator and adb controller, on the phone server.

No emulator runs here: android_env's fake simulator stands in for its screen, its real adb controller for the rest.
"""

import numpy as np
import pytest

from agentlab_runner.envs import android
from agentlab_runner.envs.android.actions import AitwParser
from agentlab_runner.envs.android.device import DeviceLost, DeviceUnavailable, Key
from agentlab_runner.envs.android.devices.adb_server import PhoneServer, State
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.evaluators import Programmatic
from agentlab_runner.envs.android.scripted_user import next_move, utterance

adbutils = pytest.importorskip("adbutils")
pytest.importorskip("android_env", exc_type=ImportError)
pytest.importorskip("immutabledict")

from android_env import environment  # noqa: E402
from android_env.components import adb_controller, config_classes, coordinator, device_settings, task_manager  # noqa: E402
from android_env.components.simulators.fake import fake_simulator  # noqa: E402
from android_env.proto import task_pb2  # noqa: E402

from agentlab_runner.envs.android.devices.android_env import AndroidEnvPhone, launch  # noqa: E402

SERIAL = "emulator-5554"


class Screen(fake_simulator.FakeSimulator):
    """android_env's fake simulator with the screen of a simulated phone and a real adb controller."""

    def __init__(self, phone, port):
        super().__init__(config_classes.FakeSimulatorConfig(screen_dimensions=phone.screen[::-1]))
        self._phone = phone
        self._controller = config_classes.AdbControllerConfig(
            adb_path=adbutils.adb_path(), adb_server_port=port, device_name=SERIAL, default_timeout=10.0)

    def create_adb_controller(self):
        return adb_controller.AdbController(self._controller)

    def _get_screenshot_impl(self):
        return np.array(self._phone.screenshot())


@pytest.fixture
def stage():
    phone = SimPhone(scale=1.0, popup_rate=0, slow_rate=0)
    with PhoneServer({SERIAL: phone}) as server:
        simulator = Screen(phone, server.port)
        manager = task_manager.TaskManager(task_pb2.Task(id="agentlab"))
        settings = device_settings.DeviceSettings(simulator)
        world = coordinator.Coordinator(simulator, manager, device_settings=settings)
        env = environment.AndroidEnv(simulator=simulator, coordinator=world, task_manager=manager)
        device = AndroidEnvPhone(env, retries=0, retry_wait=0.0, settle=0.0)
        yield device, phone, server
        device.close()


def test_it_operates_the_phone(stage):
    device, phone, _ = stage
    assert device.screen == phone.screen
    device.reset(None, 3)
    assert device.screenshot().shape == (570, 270, 3)
    device.shell("am start -a android.settings.SETTINGS")
    assert device.current_activity() == phone.current_activity()
    assert device.ui_tree() == phone.ui_tree()
    device.keyevent(Key.HOME)
    device.tap(540, 300)
    device.type_text("it's tea; ok")
    assert device.ui_tree() == phone.ui_tree()


def test_a_task_is_solved_through_it(stage):
    device, phone, _ = stage
    env = android.make(device=device, evaluator=Programmatic(), parser=AitwParser(), sampling="sequential")
    env.reset(seed=0, options={"episode": 0})
    stop = None
    while stop is None:
        stop = env.step(utterance([next_move(phone, env.unwrapped.task)], env.unwrapped.parser))[-1]["stop"]
    assert stop == "success"
    assert env.metadata["blocking"]


def test_an_offline_phone_is_lost(stage):
    device, _, server = stage
    server.set_state(SERIAL, State.OFFLINE)
    with pytest.raises(DeviceLost, match="emulator does not answer"):
        device.tap(1, 1)


def test_what_launch_needs_is_named(tmp_path, monkeypatch):
    with pytest.raises(DeviceUnavailable, match="no Android SDK"):
        launch(avd_name="pixel", sdk=str(tmp_path))
    (tmp_path / "platform-tools").mkdir()
    (tmp_path / "platform-tools" / "adb").touch()
    with pytest.raises(DeviceUnavailable, match="avd_name"):
        launch(sdk=str(tmp_path))
    monkeypatch.setattr("agentlab_runner.envs.android.devices.android_env.KVM", tmp_path / "kvm")
    with pytest.raises(DeviceUnavailable, match="/dev/kvm"):
        launch(avd_name="pixel", sdk=str(tmp_path))
    (tmp_path / "kvm").touch()
    with pytest.raises(DeviceUnavailable, match="could not start the emulator"):
        launch(avd_name="pixel", sdk=str(tmp_path))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "android_env", None)
    with pytest.raises(DeviceUnavailable, match="package android_env is missing"):
        launch(avd_name="pixel")
