"""Contacts: a list of people, one page each, adding, editing, deleting and calling."""

from functools import partial

from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.state import Contact, Page, PhoneState, close_page, open_page, opens
from agentlab_runner.envs.android.sim.widgets import (
    WIDTH,
    Look,
    Widget,
    backdrop,
    bar,
    button,
    fab,
    label,
    listing,
    row,
    text_field,
    theme,
)

FILL = "#00897b"


def face(name: str) -> catalog.Entity:
    """A person's picture; strangers are grey."""
    return catalog.PEOPLE.get(name, catalog.Entity("person", catalog.GREY))


def root(state: PhoneState, page: Page) -> list[Widget]:
    rows = [
        row(
            f"contact/{person.name}",
            person.name,
            face(person.name).icon,
            face(person.name).fill,
            opens("contacts", "person", person.name),
            theme(state),
            sub=person.phone,
        )
        for person in state.contacts
    ]
    return [
        backdrop(theme(state).back),
        *bar("Contacts", FILL, "person"),
        listing(page, rows),
        fab("add", "plus", "#e0417f", opens("contacts", "new", focus="name")),
    ]


def _form(state: PhoneState, title: str, fill: str, icon: str) -> list[Widget]:
    return [
        backdrop(theme(state).back),
        *bar(title, fill, icon, [("save", "check", _save)]),
        *text_field(state, "name", "Name", (40, 360, 1040, 560), icon="person", accent="#00897b"),
        *text_field(state, "phone", "Phone", (40, 660, 1040, 860), icon="call", accent="#fb8c00"),
    ]


def new(state: PhoneState, page: Page) -> list[Widget]:
    return _form(state, "New contact", "#e0417f", "plus")


def edit(state: PhoneState, page: Page) -> list[Widget]:
    return _form(state, "Edit contact", "#fb8c00", "pencil")


def _save(state: PhoneState) -> None:
    name, phone = (state.page.fields.get(key, "").strip() for key in ("name", "phone"))
    if not name:
        state.toast = "Add a name"
        return
    old = state.page.args[0] if state.page.args else ""
    state.contacts = sorted(
        [c for c in state.contacts if c.name != old] + [Contact(name, phone)], key=lambda c: c.name.lower()
    )
    close_page(state)
    if old and state.page.name == "person":
        state.page.args = (name,)
    state.toast = f"{name} saved"


def submit(state: PhoneState) -> None:
    state.focus = {"name": "phone"}.get(state.focus, "")


def find(state: PhoneState, name: str) -> Contact | None:
    return next((c for c in state.contacts if c.name == name), None)


def person(state: PhoneState, page: Page) -> list[Widget]:
    name = page.args[0]
    contact, picture, look_of = find(state, name), face(name), theme(state)
    if contact is None:
        return [backdrop(look_of.back), *bar("No such contact", FILL, "person")]
    actions = [
        ("delete", "trash", opens("contacts", "delete", name)),
        (
            "edit",
            "pencil",
            opens("contacts", "edit", name, fields={"name": name, "phone": contact.phone}),
        ),
    ]
    return [
        backdrop(look_of.back),
        *bar("", picture.fill, "person", actions),
        Widget(
            (290, 360, 790, 860), Look(icon=picture.icon, badge=picture.fill, icon_size=500, place="centre"), "portrait"
        ),
        label(name, (0, 900, WIDTH, 1040), 90, look_of.ink, bold=True, align="centre"),
        label(contact.phone, (0, 1040, WIDTH, 1150), 56, look_of.mute, align="centre"),
        button("call", "Call", (60, 1260, 520, 1480), "#14b84b", partial(_call, name), icon="call"),
        button("message", "Message", (560, 1260, 1020, 1480), "#1e66d0", partial(_message, name), icon="bubble"),
    ]


def _call(name: str, state: PhoneState) -> None:
    state.call = name
    open_page(state, "contacts", "call", name)


def _message(name: str, state: PhoneState) -> None:
    state.threads.setdefault(name, ())
    open_page(state, "messages", "thread", name)


def delete(state: PhoneState, page: Page) -> list[Widget]:
    name, look_of = page.args[0], theme(state)
    return [
        backdrop("#4a4f57"),
        Widget((80, 700, 1000, 1500), Look(fill=look_of.card, radius=60), "dialog"),
        Widget(
            (440, 760, 640, 960),
            Look(icon=face(name).icon, badge=face(name).fill, icon_size=200, place="centre"),
            "portrait",
        ),
        label(f"Delete {name}?", (80, 1000, 1000, 1140), 64, look_of.ink, bold=True, align="centre"),
        button("cancel", "Cancel", (120, 1230, 520, 1420), "#78838f", close_page),
        button("confirm", "Delete", (560, 1230, 960, 1420), "#e53935", partial(_delete, name)),
    ]


def _delete(name: str, state: PhoneState) -> None:
    state.contacts = [c for c in state.contacts if c.name != name]
    close_page(state, 2)
    state.toast = f"{name} deleted"


def call(state: PhoneState, page: Page) -> list[Widget]:
    name = page.args[0]
    return [
        backdrop("#0e4d2f"),
        Widget(
            (290, 400, 790, 900),
            Look(icon=face(name).icon, badge=face(name).fill, icon_size=500, place="centre"),
            "portrait",
        ),
        label(name, (0, 940, WIDTH, 1080), 90, "#ffffff", bold=True, align="centre"),
        label(
            "Calling…" if state.call == name else "Call ended", (0, 1080, WIDTH, 1190), 56, "#bfe8cf", align="centre"
        ),
        Widget(
            (415, 1640, 665, 1890),
            Look(icon="call", badge="#e53935", icon_size=250, place="centre"),
            "hangup",
            desc="hang up",
            kind="ImageButton",
            on_tap=_hang_up,
        ),
    ]


def _hang_up(state: PhoneState) -> None:
    state.call = ""
    close_page(state)


APP = App(
    "contacts",
    "Contacts",
    "person",
    FILL,
    {"root": root, "new": new, "edit": edit, "person": person, "delete": delete, "call": call},
    submit,
)
