"""A phone driven through DeepMind's android_env: its emulator control and gRPC screenshots, its adb controller."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agentlab_runner.envs.android.device import DeviceLost, DeviceUnavailable
from agentlab_runner.envs.android.devices.shell_phone import NotSent, ShellPhone

KVM = Path("/dev/kvm")
_CODE = "X4EXIT:"
_REPEAT = 2
"""android_env's action type that lets time pass without touching the screen."""


class AndroidEnvPhone(ShellPhone):
    """A phone under an `android_env.environment.AndroidEnv`, which it closes with itself.

    Screenshots come from the simulator (gRPC on an emulator); everything else is a shell command through the
    environment's adb controller.

    Args:
        env: the environment; `launch` makes one.
        scale, retries, retry_wait, settle: see ShellPhone.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self, env: Any, scale: float = 0.25, retries: int = 1, retry_wait: float = 1.0, settle: float = 1.0
    ) -> None:
        super().__init__("under android_env", scale, retries, retry_wait, settle)
        self.env = env
        env.reset()

    def screenshot(self) -> NDArray[np.uint8]:
        still = {name: np.zeros(spec.shape, spec.dtype) for name, spec in self.env.action_spec().items()}
        still["action_type"] = np.array(_REPEAT, dtype=np.int32)
        pixels = self.env.step(still).observation.get("pixels")
        if pixels is None:
            raise DeviceLost(f"phone {self.serial} is lost: {self._advice('no screenshot')}")
        height, width = (round(side * self.scale) for side in pixels.shape[:2])
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))

    def close(self) -> None:
        self.env.close()

    def _send(self, command: str) -> tuple[bytes, int]:
        """The controller tells neither exit codes nor standard error apart, so the shell itself is asked to."""
        from android_env.components.errors import AdbControllerError
        from android_env.proto import adb_pb2

        arguments = ["shell", f"{command}; echo {_CODE}$?"]
        request = adb_pb2.AdbRequest(generic=adb_pb2.AdbRequest.GenericRequest(args=arguments))
        try:
            answer = self.env.execute_adb_call(request)
        except (AdbControllerError, OSError) as error:
            raise NotSent(str(error)) from error
        output, found, code = answer.generic.output.rpartition(_CODE.encode())
        if not found:
            raise NotSent(answer.error_message or f"unexpected answer {answer.generic.output[:40]!r}")
        return output, int(code)

    def _reconnect(self) -> None:
        """android_env restarts its adb server by itself."""

    def _advice(self, reason: object) -> str:
        return f"the emulator does not answer ({reason}); see android_env's log and restart it"


def launch(
    avd_name: str = "",
    sdk: str = "~/Android/Sdk",
    avd_home: str = "~/.android/avd",
    adb_port: int = 0,
    console_port: int = 0,
    grpc_port: int = 0,
    run_headless: bool = True,
    **phone: Any,
) -> AndroidEnvPhone:
    """An emulator started by android_env, or, when its three ports are given, a running one.

    Args:
        avd_name: of the virtual device to start.
        sdk, avd_home: folders of the Android SDK and of the virtual devices.
        adb_port, console_port, grpc_port: of a running emulator; all 0 starts one.
        run_headless: without a window.
        phone: options of AndroidEnvPhone.

    Raises:
        DeviceUnavailable: a package, the SDK or KVM is missing, or the emulator does not start.
    """
    try:
        from android_env import loader
        from android_env.components import config_classes
    except ImportError as error:
        raise DeviceUnavailable(f"the package {error.name} is missing, without which no emulator starts") from error
    folder = Path(sdk).expanduser()
    adb = folder / "platform-tools" / "adb"
    if not adb.is_file():
        raise DeviceUnavailable(
            f"there is no Android SDK with adb in {folder}; install it or set env.device.sdk, or use env/device=sim"
        )
    running = bool(adb_port and console_port and grpc_port)
    if not running and not avd_name:
        raise DeviceUnavailable("no emulator is named; set env.device.avd_name, or the three ports of a running one")
    if not running and not KVM.exists():
        raise DeviceUnavailable(
            "this machine has no /dev/kvm, without which an emulator is too slow to use; use env/device=sim"
        )
    with tempfile.NamedTemporaryFile("w", suffix=".textproto") as task:
        task.write('id: "agentlab" name: "agentlab"')
        task.flush()
        config = config_classes.AndroidEnvConfig(
            task=config_classes.FilesystemTaskConfig(path=task.name),
            simulator=config_classes.EmulatorConfig(
                emulator_launcher=config_classes.EmulatorLauncherConfig(
                    emulator_path=str(folder / "emulator" / "emulator"), android_sdk_root=str(folder),
                    android_avd_home=avd_home, avd_name=avd_name, run_headless=run_headless, adb_port=adb_port,
                    emulator_console_port=console_port, grpc_port=grpc_port,
                ),
                adb_controller=config_classes.AdbControllerConfig(adb_path=str(adb)),
            ),
        )
        try:
            env = loader.load(config)
        except Exception as error:  # android_env raises many kinds, gRPC's and its own
            raise DeviceUnavailable(f"android_env could not start the emulator: {error}") from error
    return AndroidEnvPhone(env, **phone)
