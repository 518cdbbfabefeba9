"""The toolkit: a screen is a list of widgets, and pixels, taps and the UI tree all come from that one list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentlab_runner.envs.android.sim.state import Page, PhoneState, back

WIDTH, HEIGHT = 1080, 2280
STATUS, BAR, NAV = 80, 260, 2160
"""Bottom of the status bar, bottom of the app bar, top of the navigation bar, in logical pixels."""
KEYBOARD = 1460

Bounds = tuple[int, int, int, int]
Tap = Callable[[PhoneState], None]


@dataclass(frozen=True, slots=True)
class Look:
    """How a widget is painted inside its bounds; hashable, so that every picture is drawn once."""

    fill: str = ""
    """Background colour; empty is see-through."""
    radius: int = 0
    border: str = ""
    icon: str = ""
    badge: str = ""
    """Colour of the plate behind the icon; empty for none."""
    badge_radius: float = 0.5
    """Of the plate, as a share of its size: 0.5 is a disc."""
    icon_color: str = "#ffffff"
    icon_size: int = 0
    place: str = "left"
    """Where the icon stands: left | centre | top."""
    size: int = 46
    color: str = "#20262e"
    bold: bool = False
    align: str = "left"
    wrap: bool = False
    sub: str = ""
    sub_color: str = "#6a7480"
    trail: str = ""
    """What stands at the right end: on | off (a switch), or the name of an icon."""


NOWHERE = (0, 0, 0, 0)
"""Bounds of a row until `listing` places it."""
BLANK = Look()
"""Nothing to see."""


@dataclass(frozen=True, slots=True)
class Widget:
    bounds: Bounds
    look: Look
    id: str = ""
    text: str = ""
    desc: str = ""
    kind: str = "View"
    """Android class, without its package."""
    on_tap: Tap | None = None
    checked: bool = False
    focused: bool = False
    solid: bool = False
    """Hides, and keeps taps from, whatever lies under it."""
    rows: tuple[str, ...] = ()
    """Of a scrolling list: the ids of all its rows, seen or not."""
    scroll_max: int = 0
    """Of a scrolling list: rows it can be moved up by."""
    row_height: int = 0
    children: tuple["Widget", ...] = ()
    frozen: bool = False
    """Painted in one piece with its children."""

    @property
    def centre(self) -> tuple[int, int]:
        left, top, right, bottom = self.bounds
        return (left + right) // 2, (top + bottom) // 2

    def holds(self, x: int, y: int) -> bool:
        left, top, right, bottom = self.bounds
        return left <= x < right and top <= y < bottom


def flat(widgets: Sequence[Widget]) -> list[Widget]:
    """Widgets in painting order, a container before what it contains."""
    order = []
    for widget in widgets:
        order.append(widget)
        if widget.children:
            order += flat(widget.children)
    return order


@dataclass(frozen=True, slots=True)
class Theme:
    back: str
    card: str
    ink: str
    mute: str
    line: str
    accent: str = "#1e66d0"


LIGHT = Theme(back="#f3f5f9", card="#ffffff", ink="#20262e", mute="#6a7480", line="#d5dbe3")
DARK = Theme(back="#12161c", card="#232a33", ink="#f2f5f8", mute="#a7b1bd", line="#3a434f")


def theme(state: PhoneState) -> Theme:
    return DARK if state.settings.get("dark mode") == "on" else LIGHT


def backdrop(fill: str) -> Widget:
    return Widget((0, 0, WIDTH, HEIGHT), Look(fill=fill), "backdrop")


def label(text: str, bounds: Bounds, size: int = 46, color: str = "#20262e", **look: object) -> Widget:
    return Widget(bounds, Look(size=size, color=color, **look), "", text, kind="TextView")  # type: ignore[arg-type]


def bar(
    title: str, fill: str, icon: str = "", actions: Sequence[tuple[str, str, Tap]] = (), up: bool = True
) -> list[Widget]:
    """An app bar, whose colour tells app and page; `actions` are (id, icon, what a tap does), from the right."""
    widgets = [
        Widget((0, 0, WIDTH, BAR), Look(fill=fill), "bar"),
        Widget(
            (150 if up else 30, STATUS, 1040 - 170 * len(actions), BAR),
            Look(fill=fill, icon=icon, icon_size=110, size=60, color="#ffffff", bold=True),
            "title",
            title,
            kind="TextView",
        ),
    ]
    if up:
        widgets.append(
            Widget(
                (0, STATUS, 150, BAR),
                Look(icon="back", icon_size=76, place="centre"),
                "up",
                desc="Navigate up",
                kind="ImageButton",
                on_tap=_up,
            )
        )
    for place, (name, picture, tap) in enumerate(actions):
        right = WIDTH - 20 - 170 * place
        widgets.append(
            Widget(
                (right - 160, STATUS + 10, right, BAR - 10),
                Look(icon=picture, icon_size=84, badge="#ffffff", icon_color=fill, place="centre"),
                name,
                desc=name,
                kind="ImageButton",
                on_tap=tap,
            )
        )
    return widgets


def _up(state: PhoneState) -> None:
    state.focus = ""
    back(state)


def button(name: str, text: str, bounds: Bounds, fill: str, tap: Tap, color: str = "#ffffff", icon: str = "") -> Widget:
    look = Look(
        fill=fill,
        radius=40,
        size=48,
        color=color,
        bold=True,
        align="centre",
        icon=icon,
        icon_size=80 if icon else 0,
        icon_color=color,
    )
    return Widget(bounds, look, name, text, kind="Button", on_tap=tap)


def tile(
    name: str,
    text: str,
    bounds: Bounds,
    icon: str,
    fill: str,
    tap: Tap,
    ink: str = "#ffffff",
    size: int = 170,
    radius: float = 0.28,
    color: str = "#20262e",
) -> Widget:
    """A large coloured icon with its name under it."""
    look = Look(
        icon=icon,
        badge=fill,
        badge_radius=radius,
        icon_color=ink,
        icon_size=size,
        place="top",
        size=38,
        color=color,
        align="centre",
    )
    return Widget(bounds, look, name, text, kind="TextView", on_tap=tap)


def chip(name: str, text: str, bounds: Bounds, chosen: bool, fill: str, tap: Tap, look_of: Theme) -> Widget:
    look = Look(
        fill=fill if chosen else look_of.card,
        radius=60,
        border=fill,
        size=48,
        bold=True,
        align="centre",
        color="#ffffff" if chosen else look_of.ink,
    )
    return Widget(bounds, look, name, text, kind="RadioButton", on_tap=tap, checked=chosen)


def fab(name: str, icon: str, fill: str, tap: Tap) -> Widget:
    look = Look(icon=icon, badge=fill, icon_size=200, place="centre")
    return Widget((840, 1920, 1040, 2120), look, name, desc=name, kind="ImageButton", on_tap=tap)


def text_field(
    state: PhoneState, name: str, hint: str, bounds: Bounds, icon: str = "", accent: str = "#1e66d0", wrap: bool = False
) -> list[Widget]:
    """A text field and, once something stands in it, the button that empties it."""
    look_of, value, focused = theme(state), state.page.fields.get(name, ""), state.focus == name
    left, top, right, bottom = bounds
    end = right - 150 if value else right
    look = Look(
        fill=look_of.card,
        radius=36,
        border=accent if focused else look_of.line,
        size=48,
        icon=icon,
        icon_size=90 if icon else 0,
        icon_color=accent,
        color=look_of.ink if value else look_of.mute,
        bold=bool(value),
        wrap=wrap,
    )
    widgets = [
        Widget(
            (left, top, end, bottom),
            look,
            name,
            value or hint,
            kind="EditText",
            focused=focused,
            on_tap=lambda s: setattr(s, "focus", name),
        )
    ]
    if value:
        height = min(bottom - top, 150)
        widgets.append(
            Widget(
                (end, top, right, top + height),
                Look(icon="cross", icon_size=90, badge=accent, place="centre"),
                f"{name}/clear",
                desc=f"clear {name}",
                kind="ImageButton",
                on_tap=lambda s: _clear(s, name),
            )
        )
    return widgets


def _clear(state: PhoneState, name: str) -> None:
    state.page.fields.pop(name, None)
    state.focus = name


def row(
    name: str,
    text: str,
    icon: str,
    fill: str,
    tap: Tap | None,
    look_of: Theme,
    sub: str = "",
    trail: str = "",
    ink: str = "#ffffff",
    round_: bool = True,
) -> Widget:
    """A list row without a place yet; `listing` gives it one."""
    look = Look(
        fill=look_of.card,
        icon=icon,
        badge=fill,
        badge_radius=0.5 if round_ else 0.2,
        icon_color=ink,
        icon_size=150,
        size=50,
        color=look_of.ink,
        sub=sub,
        sub_color=look_of.mute,
        trail=trail,
        bold=True,
    )
    kind = "Switch" if trail in ("on", "off") else "TextView"
    return Widget(NOWHERE, look, name, text, kind=kind, on_tap=tap, checked=trail == "on")


def listing(
    page: Page,
    rows: Sequence[Widget],
    top: int = BAR,
    bottom: int = NAV,
    height: int = 200,
    columns: int = 1,
    gap: int = 6,
) -> Widget:
    """A list (or grid) that scrolls by whole lines; it gives each row its place."""
    fits, lines, width = (bottom - top) // height, -(-len(rows) // columns), WIDTH // columns
    most = max(0, lines - fits)
    first = min(page.scroll, most) * columns
    shown = tuple(
        Widget(
            (
                i % columns * width,
                top + i // columns * height,
                (i % columns + 1) * width - gap * (columns > 1),
                top + (i // columns + 1) * height - gap,
            ),
            item.look,
            item.id,
            item.text,
            kind=item.kind,
            on_tap=item.on_tap,
            checked=item.checked,
        )
        for i, item in enumerate(rows[first : first + fits * columns])
    )
    return Widget(
        (0, top, WIDTH, bottom),
        BLANK,
        "list",
        kind="RecyclerView",
        rows=tuple(item.id for item in rows),
        scroll_max=most,
        row_height=height,
        children=shown,
    )
