"""Messages: one thread a person, a field to write in, and a page to start a thread."""

from functools import partial

from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.apps.contacts import face
from agentlab_runner.envs.android.sim.state import Message, Page, PhoneState, open_page, opens
from agentlab_runner.envs.android.sim.widgets import (
    BAR,
    KEYBOARD,
    NAV,
    Look,
    Widget,
    backdrop,
    bar,
    fab,
    listing,
    row,
    text_field,
    theme,
)

FILL = "#1e66d0"


def root(state: PhoneState, page: Page) -> list[Widget]:
    rows = [
        row(
            f"thread/{name}",
            name,
            face(name).icon,
            face(name).fill,
            partial(_open, name),
            theme(state),
            sub=messages[-1].text if messages else "No messages",
        )
        for name, messages in state.threads.items()
    ]
    return [
        backdrop(theme(state).back),
        *bar("Messages", FILL, "bubble"),
        listing(page, rows),
        fab("new", "pencil", "#e0417f", opens("messages", "new")),
    ]


def _open(name: str, state: PhoneState) -> None:
    state.threads.setdefault(name, ())
    open_page(state, "messages", "thread", name)


def new(state: PhoneState, page: Page) -> list[Widget]:
    rows = [
        row(
            f"to/{person.name}",
            person.name,
            face(person.name).icon,
            face(person.name).fill,
            partial(_open, person.name),
            theme(state),
            sub=person.phone,
        )
        for person in state.contacts
    ]
    return [backdrop(theme(state).back), *bar("New message to", "#e0417f", "pencil"), listing(page, rows)]


def thread(state: PhoneState, page: Page) -> list[Widget]:
    name, look_of = page.args[0], theme(state)
    bottom = KEYBOARD if state.focus else NAV
    widgets = [backdrop(look_of.back), *bar(name, face(name).fill, face(name).icon)]
    room = (bottom - 240 - BAR) // 170
    for i, message in enumerate(state.threads.get(name, ())[-room:]):
        left = 340 if message.mine else 40
        look = Look(
            fill=FILL if message.mine else look_of.card,
            radius=60,
            color="#ffffff" if message.mine else look_of.ink,
            size=46,
        )
        widgets.append(
            Widget(
                (left, BAR + 40 + i * 170, left + 700, BAR + 180 + i * 170),
                look,
                f"bubble/{i}",
                message.text,
                kind="TextView",
            )
        )
    widgets += text_field(state, "draft", "Text message", (30, bottom - 200, 840, bottom - 40), accent=FILL)
    widgets.append(
        Widget(
            (860, bottom - 220, 1060, bottom - 20),
            Look(
                icon="send", badge="#14b84b" if page.fields.get("draft") else "#b9c1ca", icon_size=190, place="centre"
            ),
            "send",
            desc="send",
            kind="ImageButton",
            on_tap=send,
        )
    )
    return widgets


def send(state: PhoneState) -> None:
    text, name = state.page.fields.get("draft", "").strip(), state.page.args[0]
    if not text:
        state.toast = "Nothing to send"
        return
    threads = {name: (*state.threads.get(name, ()), Message(text, mine=True))}
    threads.update((other, messages) for other, messages in state.threads.items() if other != name)
    state.threads = threads
    state.page.fields = {}
    state.focus = ""


APP = App("messages", "Messages", "bubble", FILL, {"root": root, "new": new, "thread": thread}, send)
