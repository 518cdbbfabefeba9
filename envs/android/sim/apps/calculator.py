"""Calculator: sums, differences, products and quotients of whole numbers, left to right."""

from fractions import Fraction
from functools import partial

from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.state import Page, PhoneState
from agentlab_runner.envs.android.sim.widgets import Look, Widget, backdrop, bar, theme

FILL = "#fb8c00"
KEYS = ("7", "8", "9", "/", "4", "5", "6", "x", "1", "2", "3", "-", "C", "0", "=", "+")


def root(state: PhoneState, page: Page) -> list[Widget]:
    look_of = theme(state)
    widgets = [
        backdrop(look_of.back),
        *bar("Calculator", FILL, "calculator"),
        Widget(
            (40, 300, 1040, 620),
            Look(fill=look_of.card, radius=40, size=140, color=look_of.ink, bold=True),
            "display",
            page.fields.get("sum", "0"),
            kind="TextView",
        ),
    ]
    for i, key in enumerate(KEYS):
        left, top = 40 + (i % 4) * 255, 680 + (i // 4) * 360
        fill = "#e53935" if key == "C" else "#14b84b" if key == "=" else FILL if not key.isdigit() else look_of.line
        look = Look(
            fill=fill, radius=60, size=110, bold=True, align="centre", color=look_of.ink if key.isdigit() else "#ffffff"
        )
        widgets.append(
            Widget(
                (left, top, left + 235, top + 330), look, f"key/{key}", key, kind="Button", on_tap=partial(_press, key)
            )
        )
    return widgets


def _press(key: str, state: PhoneState) -> None:
    fields = state.page.fields
    text = fields.get("sum", "")
    if key == "C":
        fields.pop("sum", None)
    elif key == "=":
        fields["asked"], fields["sum"] = text, evaluate(text)
    elif len(text) < 12 and (key.isdigit() or (text and text[-1].isdigit())):
        fields["sum"] = text + key


def evaluate(text: str) -> str:
    """Value of digits joined by + - x /, from left to right; `error` for anything else and for division by zero."""
    for sign in "+-x/":
        text = text.replace(sign, f" {sign} ")
    parts = text.split()
    if len(parts) % 2 == 0 or not all(part.isdigit() for part in parts[::2]):
        return "error"
    total = Fraction(parts[0])
    for sign, number in zip(parts[1::2], map(Fraction, parts[2::2]), strict=True):
        if sign == "/" and number == 0:
            return "error"
        total = {"+": total + number, "-": total - number, "x": total * number, "/": total / (number or 1)}[sign]
    return str(total) if total.denominator == 1 else f"{float(total):.6g}"


APP = App("calculator", "Calculator", "calculator", FILL, {"root": root})
