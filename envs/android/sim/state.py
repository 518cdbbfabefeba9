"""The simulated phone's whole memory: plain data, copied in microseconds, and the few moves every app shares."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

STACK_LIMIT = 32
FIELD_LIMIT = 4096
"""Characters a text field holds."""


@dataclass(frozen=True, slots=True)
class Alarm:
    hour: int
    """1 to 12."""
    minute: int
    pm: bool = False
    on: bool = True

    @property
    def time(self) -> str:
        return f"{self.hour}:{self.minute:02d} {'PM' if self.pm else 'AM'}"


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class Note:
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Message:
    text: str
    mine: bool


@dataclass(slots=True)
class Page:
    """One entry of the back stack."""

    app: str
    name: str
    args: tuple[str, ...] = ()
    scroll: int = 0
    """Rows the page's list is moved up by."""
    fields: dict[str, str] = field(default_factory=dict)
    """What stands in the page's text fields and pickers."""

    @property
    def key(self) -> str:
        """`app.page` or `app.page:arg|arg`: where the user is, as routes name it."""
        return f"{self.app}.{self.name}" + (":" + "|".join(self.args) if self.args else "")


@dataclass(slots=True)
class PhoneState:
    seed: int = 0
    popup_rate: float = 0.0
    """Chance that a page which opens has a pop-up over it."""
    slow_rate: float = 0.0
    """Chance that a page which opens is first a white screen."""
    draws: int = 0
    """Random numbers used so far; with `seed` it is the whole state of chance."""
    settings: dict[str, str] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)
    timer: int = 0
    """Minutes of the running timer, 0 when none runs."""
    stopwatch: bool = False
    contacts: list[Contact] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    threads: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    call: str = ""
    """Whom the phone is calling."""
    photos: int = 0
    playing: str = ""
    carts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stack: list[Page] = field(default_factory=lambda: [Page("launcher", "home")])
    focus: str = ""
    """Name of the text field of the front page that has the keyboard."""
    popup: str = ""
    toast: str = ""
    loading: int = 0
    """White screenshots still to come before the front page shows."""

    @property
    def page(self) -> Page:
        return self.stack[-1]

    def copy(self) -> "PhoneState":
        return replace(
            self,
            settings=dict(self.settings),
            alarms=list(self.alarms),
            contacts=list(self.contacts),
            notes=list(self.notes),
            threads=dict(self.threads),
            carts=dict(self.carts),
            stack=[replace(page, fields=dict(page.fields)) for page in self.stack],
        )

    def chance(self, rate: float) -> bool:
        """True with probability `rate`, decided by the seed and the number of draws before this one."""
        self.draws += 1
        digest = hashlib.blake2b(f"{self.seed}:{self.draws}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < rate * 2**64


def open_page(
    state: PhoneState, app: str, name: str, *args: str, focus: str = "", fields: dict[str, str] | None = None
) -> None:
    """Put a page on top of the back stack; it may come up slowly or under a pop-up."""
    if len(state.stack) >= STACK_LIMIT:
        del state.stack[1]
    state.stack.append(Page(app, name, args, fields=dict(fields or {})))
    state.focus = focus
    state.loading = int(state.chance(state.slow_rate))
    kind = {"root": "restore", "home": "cookies"}.get(name, "ad") if app == "browser" else "rate"
    state.popup = kind if state.chance(state.popup_rate) else ""


def opens(
    app: str, name: str, *args: str, focus: str = "", fields: dict[str, str] | None = None
) -> Callable[[PhoneState], None]:
    """What a widget does that opens a page."""
    return lambda state: open_page(state, app, name, *args, focus=focus, fields=fields)


def open_app(state: PhoneState, app: str) -> None:
    home(state)
    open_page(state, app, "root")


def home(state: PhoneState) -> None:
    del state.stack[1:]
    state.page.scroll = 0
    state.focus, state.popup, state.loading = "", "", 0


def back(state: PhoneState) -> None:
    """What BACK undoes first: a pop-up, then the keyboard, then the page."""
    state.loading = 0
    if state.popup:
        state.popup = ""
    elif state.focus:
        state.focus = ""
    elif len(state.stack) > 1:
        state.stack.pop()


def close_page(state: PhoneState, pages: int = 1) -> None:
    """Leave the front page (or several) whatever is focused."""
    del state.stack[max(1, len(state.stack) - pages) :]
    state.focus = ""


def type_text(state: PhoneState, text: str) -> None:
    """Append printable characters to the focused field, if there is one; where it cannot hold all a toast says so.

    A line break becomes a blank, as it does through adb.
    """
    if not state.focus:
        return
    fields = state.page.fields
    longer = fields.get(state.focus, "") + "".join(c for c in " ".join(text.splitlines()) if c.isprintable())
    if len(longer) > FIELD_LIMIT:
        state.toast = f"The text is too long: a field holds {FIELD_LIMIT} characters"
    else:
        fields[state.focus] = longer
