"""Keys as the DevTools protocol describes a stroke of one."""

from collections.abc import Mapping, Sequence
from typing import Any

MODIFIERS = {"alt": 1, "control": 2, "ctrl": 2, "meta": 4, "command": 2, "shift": 8}
"""Bits; `command` is what it is on Linux and Windows."""
_NAMED = {
    "enter": ("Enter", "Enter", 13, "\r"), "tab": ("Tab", "Tab", 9, ""), "escape": ("Escape", "Escape", 27, ""),
    "backspace": ("Backspace", "Backspace", 8, ""), "delete": ("Delete", "Delete", 46, ""),
    "space": (" ", "Space", 32, " "), "home": ("Home", "Home", 36, ""), "end": ("End", "End", 35, ""),
    "pageup": ("PageUp", "PageUp", 33, ""), "pagedown": ("PageDown", "PageDown", 34, ""),
    "arrowleft": ("ArrowLeft", "ArrowLeft", 37, ""), "arrowup": ("ArrowUp", "ArrowUp", 38, ""),
    "arrowright": ("ArrowRight", "ArrowRight", 39, ""), "arrowdown": ("ArrowDown", "ArrowDown", 40, ""),
}  # fmt: skip
"""key, code, windowsVirtualKeyCode and text of each, by the name it is asked for by."""
_EDITING = {"a": "selectAll", "c": "copy", "v": "paste", "x": "cut", "z": "undo"}
"""What a browser does at a letter with control."""
NAMES = tuple(sorted(_NAMED))

Stroke = Sequence[Mapping[str, Any]]


def describe(name: str, modifiers: int = 0) -> Stroke:
    """A key by its name or by the character on it.

    Raises:
        ValueError: if there is none.
    """
    if name in _NAMED:
        key, code, number, text = _NAMED[name]
        return _stroke(key, code, number, "" if modifiers & 6 else text, modifiers)
    if len(name) != 1:
        raise ValueError(f"there is no key {name!r}; name one of {', '.join(NAMES)}, or a character")
    if not modifiers & 7:
        return of_character(name)
    commands = [_EDITING[name]] if name in _EDITING and modifiers & 2 else []
    code = f"Key{name.upper()}" if name.isascii() and name.isalpha() else ""
    return _stroke(name, code, ord(name.upper()) & 0xFF, "", modifiers, commands)


def of_character(character: str) -> Stroke:
    """The stroke that types a character, of whatever alphabet."""
    if character in "\r\n":
        return describe("enter")
    if character == "\t":
        return describe("tab")
    if character.isascii() and character.isalnum():
        code = f"Key{character.upper()}" if character.isalpha() else f"Digit{character}"
        return _stroke(character, code, ord(character.upper()), character, 8 if character.isupper() else 0)
    return _stroke(character, "Space" if character == " " else "", 32 if character == " " else 0, character, 0)


def _stroke(
    key: str, code: str, number: int, text: str, modifiers: int, commands: Sequence[str] = ()
) -> Stroke:
    known: dict[str, Any] = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
    down: dict[str, Any] = {"type": "keyDown" if text else "rawKeyDown", **known}
    down |= {"text": text} if text else {}
    down |= {"commands": list(commands)} if commands else {}
    return (down, {"type": "keyUp", **known})
