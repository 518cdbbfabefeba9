"""The apps of the simulated phone."""

from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.apps import browser, calculator, clock, contacts, media, messages, notes, settings

APPS: dict[str, App] = {
    app.name: app
    for app in (
        settings.APP,
        clock.APP,
        notes.APP,
        calculator.APP,
        media.MUSIC,
        media.GALLERY,
        contacts.APP,
        messages.APP,
        browser.APP,
        media.CAMERA,
    )
}
"""By name, in the order of the home screen; the last four stand in the dock."""
