"""The simulated phone behind adb in this process, so that the whole real client path can be used and tested."""

from typing import Any

from agentlab_runner.envs.android.devices.adb import AdbPhone
from agentlab_runner.envs.android.devices.adb_server import FaultPlan, PhoneServer
from agentlab_runner.envs.android.devices.sim import SimPhone

SERIAL = "emulator-5554"


class SimAdbPhone(AdbPhone):
    """A SimPhone of its own, served on a loopback port of its own, driven by AdbPhone.

    Args:
        scale: of screenshots.
        faults: what goes wrong between client and phone, for tests.
        retries, retry_wait, timeout: see AdbPhone.
        sim: further options of the SimPhone.
    """

    def __init__(
        self,
        scale: float = 0.25,
        faults: FaultPlan | None = None,
        retries: int = 3,
        retry_wait: float = 0.05,
        timeout: float = 20.0,
        **sim: Any,
    ) -> None:
        self.phone = SimPhone(scale=scale, **sim)
        self.server = PhoneServer({SERIAL: self.phone}, faults=faults).start()
        try:
            super().__init__(
                SERIAL, port=self.server.port, scale=scale, retries=retries, retry_wait=retry_wait, settle=0.0,
                timeout=timeout,
            )
        except Exception:
            self.server.stop()
            raise

    def close(self) -> None:
        self.server.stop()
