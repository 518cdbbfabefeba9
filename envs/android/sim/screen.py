"""One screen from one state: what is seen, what a touch hits, and the accessibility tree, all from the same widgets."""

from collections.abc import Sequence
from functools import partial

from agentlab_runner.envs.android.device import UiNode
from agentlab_runner.envs.android.sim import catalog, overlay
from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.apps import APPS
from agentlab_runner.envs.android.sim.paint import Painted
from agentlab_runner.envs.android.sim.state import Page, PhoneState, open_app
from agentlab_runner.envs.android.sim.widgets import HEIGHT, WIDTH, Bounds, Look, Widget, flat, tile


def launcher(state: PhoneState, page: Page) -> list[Widget]:
    """The home screen: a grid of apps, and the dock."""
    dark, light = catalog.WALLPAPERS[state.settings.get("wallpaper", "blue")]
    names = list(APPS)
    widgets = [
        Widget((0, 0, WIDTH, HEIGHT), Look(fill=f"{dark},{light}"), "wallpaper"),
        Widget(
            (0, 180, WIDTH, 440),
            Look(size=230, color="#ffffff", bold=True, align="centre"),
            "time",
            "10:24",
            kind="TextClock",
        ),
        Widget(
            (0, 440, WIDTH, 540),
            Look(size=60, color="#ffffff", align="centre"),
            "date",
            "Tuesday, 4 March",
            kind="TextView",
        ),
        Widget((20, 1760, 1060, 2130), Look(fill="#ffffff40", radius=70), "dock"),
    ]
    for i, name in enumerate(names):
        docked = i - (len(names) - 4)
        left, top = (35 + docked * 255, 1780) if docked >= 0 else (35 + (i % 3) * 345, 720 + (i // 3) * 440)
        width = 245 if docked >= 0 else 320
        app = APPS[name]
        widgets.append(
            tile(
                f"app/{name}",
                app.label,
                (left, top, left + width, top + 330),
                app.icon,
                app.fill,
                partial(_open, name),
                size=230,
                color="#ffffff",
            )
        )
    return widgets


def _open(name: str, state: PhoneState) -> None:
    open_app(state, name)


LAUNCHER = App("launcher", "Home", "globe", "#2b5fb0", {"home": launcher})


def app_of(state: PhoneState) -> App:
    return APPS.get(state.page.app, LAUNCHER)


def widgets(state: PhoneState) -> list[Widget]:
    """Everything on the screen in painting order; empty while a page loads."""
    if state.loading:
        return []
    app = app_of(state)
    shown = app.pages[state.page.name](state, state.page)
    if state.focus:
        shown.append(overlay.keyboard(app.submit))
    if state.toast:
        shown += overlay.toast(state)
    if state.popup:
        shown += overlay.popup(state)
    return [*shown, overlay.status(state), overlay.navigation(state)]


def painted(shown: Sequence[Widget]) -> tuple[Painted, ...]:
    """What the renderer needs of each widget, in painting order; a frozen one carries its children."""
    parts: list[Painted] = []
    for widget in shown:
        parts.append((widget.bounds, widget.look, widget.text, painted(widget.children) if widget.frozen else ()))
        if not widget.frozen:
            parts += painted(widget.children)
    return tuple(parts)


def hit(shown: Sequence[Widget], x: int, y: int) -> Widget | None:
    """The topmost widget at a point that answers a tap; None where a solid one or nothing is."""
    for widget in reversed(flat(shown)):
        if widget.holds(x, y):
            if widget.on_tap:
                return widget
            if widget.solid:
                return None
    return None


def scroller(shown: Sequence[Widget], x: int, y: int) -> Widget | None:
    """The topmost list at a point."""
    for widget in reversed(flat(shown)):
        if widget.holds(x, y):
            if widget.rows:
                return widget
            if widget.solid:
                return None
    return None


def visible(shown: Sequence[Widget]) -> list[Widget]:
    """What a user can get at: not covered at its centre by something solid, nor, if it answers taps, by another."""
    seen: list[Widget] = []
    solid: list[Bounds] = []
    tappable: list[Bounds] = []
    for widget in reversed(flat(shown)):
        x, y = widget.centre
        above = tappable if widget.on_tap else solid
        if not any(left <= x < right and top <= y < bottom for left, top, right, bottom in above):
            seen.append(widget)
        if widget.solid:
            solid.append(widget.bounds)
        if widget.solid or widget.on_tap:
            tappable.append(widget.bounds)
    return seen[::-1]


def tree(state: PhoneState, shown: Sequence[Widget]) -> UiNode:
    """The accessibility tree of `shown`; keys of the keyboard and bare decoration are left out."""
    app, seen = app_of(state), {id(widget) for widget in visible(shown)}

    def nodes(group: Sequence[Widget]) -> tuple[UiNode, ...]:
        return tuple(
            UiNode(
                class_name=f"android.{'' if '.' in widget.kind else 'widget.'}{widget.kind}"
                if widget.kind != "View"
                else "android.view.View",
                bounds=widget.bounds,
                text=widget.text,
                resource_id=f"{app.package}:id/{widget.id}" if widget.id else "",
                content_desc=widget.desc,
                clickable=widget.on_tap is not None,
                focused=widget.focused,
                checked=widget.checked,
                scrollable=widget.scroll_max > 0,
                children=nodes(widget.children),
            )
            for widget in group
            if id(widget) in seen
            and widget.kind != "Key"
            and (widget.text or widget.desc or widget.children or widget.on_tap or widget.id == "keyboard")
        )

    return UiNode("android.widget.FrameLayout", (0, 0, WIDTH, HEIGHT), children=nodes(shown))
