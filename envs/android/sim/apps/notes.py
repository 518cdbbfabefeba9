"""Notes: coloured cards, a page each, new ones from a plain text field."""

from dataclasses import replace
from functools import partial

from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.state import Note, Page, PhoneState, close_page, open_page, opens
from agentlab_runner.envs.android.sim.widgets import (
    BAR,
    NOWHERE,
    Look,
    Widget,
    backdrop,
    bar,
    fab,
    listing,
    text_field,
    theme,
)

FILL = "#f2a900"


def mark(title: str) -> catalog.Entity:
    return catalog.NOTES[title][0] if title in catalog.NOTES else catalog.PLAIN_NOTE


def root(state: PhoneState, page: Page) -> list[Widget]:
    look = Look(
        fill=theme(state).card,
        radius=40,
        badge_radius=0.2,
        icon_size=250,
        place="top",
        size=50,
        bold=True,
        align="centre",
        color=theme(state).ink,
    )
    cards = [
        Widget(
            NOWHERE,
            replace(look, icon=mark(note.title).icon, badge=mark(note.title).fill),
            f"note/{note.title}",
            note.title,
            kind="TextView",
            on_tap=partial(_open, note.title),
        )
        for note in state.notes
    ]
    return [
        backdrop(theme(state).back),
        *bar("Notes", FILL, "note"),
        listing(page, cards, top=BAR + 20, height=420, columns=2, gap=20),
        fab("add", "plus", "#e0417f", opens("notes", "new", focus="body")),
    ]


def _open(title: str, state: PhoneState) -> None:
    note = next(n for n in state.notes if n.title == title)
    open_page(state, "notes", "note", title, fields={"body": note.body})


def _page(state: PhoneState, title: str, fill: str, icon: str, delete: bool) -> list[Widget]:
    actions = [("save", "check", _save)]
    if delete:
        actions.append(("delete", "trash", _delete))
    return [
        backdrop("#fff6d6" if theme(state).back != "#12161c" else "#12161c"),
        *bar(title, fill, icon, actions),
        *text_field(state, "body", "Write here", (40, 320, 1040, 1300), accent="#c77700", wrap=True),
    ]


def new(state: PhoneState, page: Page) -> list[Widget]:
    return _page(state, "New note", "#e0417f", "plus", delete=False)


def note(state: PhoneState, page: Page) -> list[Widget]:
    title = page.args[0]
    return _page(state, title, mark(title).fill, mark(title).icon, delete=True)


def _save(state: PhoneState) -> None:
    body = state.page.fields.get("body", "").strip()
    if not body:
        state.toast = "The note is empty"
        return
    title = state.page.args[0] if state.page.args else body[:24]
    fresh = Note(title, body)
    known = [n.title for n in state.notes]
    if title in known:
        state.notes[known.index(title)] = fresh
    else:
        state.notes.insert(0, fresh)
    close_page(state)
    state.toast = "Note saved"


def _delete(state: PhoneState) -> None:
    state.notes = [n for n in state.notes if n.title != state.page.args[0]]
    close_page(state)
    state.toast = "Note deleted"


APP = App("notes", "Notes", "note", FILL, {"root": root, "new": new, "note": note})
