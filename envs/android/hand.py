"""An expert's hand: routes say where to go and what to do there; `follow` finds the next touch from any state."""

from collections.abc import Sequence
from dataclasses import dataclass

from agentlab_runner.envs.android.device import Key, PhoneDevice
from agentlab_runner.envs.android.sim import screen
from agentlab_runner.envs.android.sim.state import PhoneState
from agentlab_runner.envs.android.sim.widgets import HEIGHT, WIDTH, Widget


@dataclass(frozen=True, slots=True)
class Move:
    """One thing a user does; points are fractions of the screen."""

    kind: str
    """tap | swipe | type | home | back | enter | complete."""
    x: float = -1.0
    y: float = -1.0
    x1: float = -1.0
    y1: float = -1.0
    text: str = ""


HOME, BACK, ENTER, COMPLETE = Move("home"), Move("back"), Move("enter"), Move("complete")
FORWARD, BACKWARD = Move("swipe", 0.5, 0.7, 0.5, 0.3), Move("swipe", 0.5, 0.3, 0.5, 0.7)
WAIT = Move("tap", 0.5, 0.5)
"""On a white screen: a touch that is lost while the page loads."""


@dataclass(frozen=True, slots=True)
class Tap:
    """Tap a widget; the last act of its page."""

    id: str


@dataclass(frozen=True, slots=True)
class Check:
    """Tap a widget unless it is already chosen."""

    id: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Make a text field hold exactly this."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Press ENTER in a field."""

    field: str


Act = Tap | Check | Fill | Submit
Link = tuple[str, Sequence[Act]]
"""A page's key and what to do there, in order."""
Route = Sequence[Link]


def tap(widget: Widget) -> Move:
    x, y = widget.centre
    return Move("tap", round(x / WIDTH, 4), round(y / HEIGHT, 4))


def perform(phone: PhoneDevice, move: Move) -> None:
    """Do a move on a phone; `complete` touches nothing."""
    width, height = phone.screen
    match move.kind:
        case "tap":
            phone.tap(round(move.x * width), round(move.y * height))
        case "swipe":
            phone.swipe(round(move.x * width), round(move.y * height), round(move.x1 * width), round(move.y1 * height))
        case "type":
            phone.type_text(move.text)
        case "home" | "back" | "enter":
            phone.keyevent({"home": Key.HOME, "back": Key.BACK, "enter": Key.ENTER}[move.kind])


def follow(state: PhoneState, route: Route) -> Move:
    """The next move along a route from any state.

    White screens and pop-ups come first; then, on a page of the route, its first act that is not done; above such a
    page, BACK; else HOME.
    """
    if state.loading:
        return WAIT
    shown = screen.widgets(state)
    seen = {widget.id: widget for widget in screen.visible(shown) if widget.id}
    if state.popup:
        return tap(seen["popup/no"])
    links = dict(route)
    acts = links.get(state.page.key)
    if acts is not None:
        for act in acts:
            move = _do(act, state, seen)
            if move is not None:
                return move
    if any(page.key in links for page in state.stack[1:-1]):
        return BACK
    return HOME


def _do(act: Act, state: PhoneState, seen: dict[str, Widget]) -> Move | None:
    match act:
        case Tap(name):
            return _reach(name, state, seen)
        case Check(name):
            return None if name in seen and seen[name].checked else _reach(name, state, seen)
        case Submit(field):
            return ENTER if state.focus == field else _reach(field, state, seen)
        case Fill(field, text):
            value = state.page.fields.get(field, "")
            if value == text:
                return None
            if value:
                return _reach(f"{field}/clear", state, seen)
            return Move("type", text=text) if state.focus == field else _reach(field, state, seen)


def _reach(name: str, state: PhoneState, seen: dict[str, Widget]) -> Move:
    """Tap a widget, or bring it into sight first."""
    if name in seen:
        return tap(seen[name])
    if state.focus:
        return BACK
    area = next((widget for widget in seen.values() if name in widget.rows), None)
    if area is None:
        return HOME
    return FORWARD if area.rows.index(name) > area.rows.index(area.children[0].id) else BACKWARD
