"""Two phones that differ only in apps that are not open look alike and list the same elements."""

from random import Random

import numpy as np
import pytest

from agentlab_runner.envs.android.actions import AitwParser
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.prompts import elements
from agentlab_runner.envs.android.sim import screen
from agentlab_runner.envs.android.sim.state import open_app
from agentlab_runner.envs.android.sim.world import fresh

SHOWS = {
    "calculator": (),
    "browser": (),
    "clock": ("alarms",),
    "contacts": ("contacts",),
    "messages": ("threads", "contacts"),
    "notes": ("notes",),
}
"""What of the phone's contents an app may show."""
CONTENTS = ("alarms", "contacts", "threads", "notes")


@pytest.mark.parametrize("app", SHOWS)
def test_other_apps_contents_are_not_told(app):
    rng = Random(app)
    phone = SimPhone(scale=0.1, popup_rate=0, slow_rate=0)
    phone.reset(None, 3)
    open_app(phone.state, app)
    pages = set()
    for _ in range(25):
        told = seen(phone)
        mine, other = phone.snapshot(), fresh(rng.randrange(1000))
        for name in CONTENTS:
            if name not in SHOWS[app]:
                setattr(phone.state, name, getattr(other, name))
        again = seen(phone)
        phone.state = mine
        assert told[0] == again[0]
        assert np.array_equal(told[1], again[1])
        pages.add(phone.state.page.key)
        touchable = [widget for widget in screen.visible(phone.widgets()) if widget.id]
        phone.tap(*rng.choice(touchable).centre)
        if phone.state.page.app != app:
            phone.reset(None, 3)
            open_app(phone.state, app)
    assert len(pages) > 1 or app == "calculator"


def seen(phone: SimPhone) -> tuple[str, np.ndarray]:
    return elements(phone.ui_tree(), phone.screen, AitwParser().point), phone.screenshot()
