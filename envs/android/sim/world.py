"""What is on a phone when it is taken out of the pocket."""

from random import Random

from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.state import Alarm, Contact, Message, Note, PhoneState


def fresh(seed: int) -> PhoneState:
    """A home screen; people, notes, alarms and switches are drawn by the seed, the theme and the wallpaper are not."""
    rng = Random(f"world {seed}")
    people = sorted(rng.sample(sorted(catalog.PEOPLE), 7))
    hours = sorted(rng.sample(range(1, 13), 3))
    state = PhoneState(
        seed=seed,
        settings={name: rng.choice(("on", "off")) for name in catalog.TOGGLES},
        alarms=[Alarm(hour, rng.choice((0, 15, 30, 45)), rng.random() < 0.5, rng.random() < 0.5) for hour in hours],
        contacts=[Contact(name, rng.choice(catalog.PHONES)) for name in people],
        notes=[Note(title, catalog.NOTES[title][1]) for title in rng.sample(sorted(catalog.NOTES), 6)],
        threads={name: (Message(rng.choice(catalog.SENTENCES), mine=False),) for name in rng.sample(people, 5)},
    )
    state.settings |= {"dark mode": "off", "wallpaper": "blue", "brightness": "medium", "volume": "low"}
    return state
