"""The accessibility tree as `uiautomator dump` writes it, and back."""

import re
import xml.etree.ElementTree as ET

from agentlab_runner.envs.android.device import UiNode

_BOUNDS = re.compile(r"\[(-?\d+),(-?\d+)\]\[(-?\d+),(-?\d+)\]")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CHECKABLE = ("Switch", "RadioButton", "CheckBox", "ToggleButton")


def to_xml(node: UiNode, package: str = "") -> str:
    """One `<hierarchy>` document; characters XML cannot carry are left out."""
    root = ET.Element("hierarchy", rotation="0")
    _write(root, node, 0, package)
    return "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>" + ET.tostring(root, encoding="unicode")


def _write(parent: ET.Element, node: UiNode, index: int, package: str) -> None:
    left, top, right, bottom = node.bounds
    text = {
        "text": node.text,
        "resource-id": node.resource_id,
        "class": node.class_name,
        "package": package,
        "content-desc": node.content_desc,
    }
    flags = {
        "checkable": node.class_name.rsplit(".", 1)[-1] in _CHECKABLE,
        "checked": node.checked,
        "clickable": node.clickable,
        "enabled": True,
        "focusable": node.clickable,
        "focused": node.focused,
        "scrollable": node.scrollable,
        "long-clickable": False,
        "password": False,
        "selected": False,
    }
    element = ET.SubElement(
        parent,
        "node",
        {"index": str(index)}
        | {name: _NOT_XML.sub("", value) for name, value in text.items()}
        | {name: str(value).lower() for name, value in flags.items()}
        | {"bounds": f"[{left},{top}][{right},{bottom}]"},
    )
    for place, child in enumerate(node.children):
        _write(element, child, place, package)


def from_xml(text: str) -> UiNode:
    """The tree in a dump; what stands before or after the document (some phones chat) is skipped.

    Several windows become the children of one frame.

    Raises:
        ValueError: if there is no well-formed hierarchy in the text.
    """
    start, end = text.find("<hierarchy"), text.rfind("</hierarchy>")
    if start < 0 or end < 0:
        raise ValueError(f"no <hierarchy> in the dump, which begins {text[:60]!r}; dump again when the screen is still")
    try:
        root = ET.fromstring(text[start : end + len("</hierarchy>")])
        windows = tuple(map(_read, root))
    except ET.ParseError as error:
        raise ValueError(f"the dump is not well-formed XML ({error}); run `uiautomator dump` again") from error
    if len(windows) == 1:
        return windows[0]
    bounds = [window.bounds for window in windows] or [(0, 0, 0, 0)]
    return UiNode(
        "android.widget.FrameLayout", (0, 0, max(b[2] for b in bounds), max(b[3] for b in bounds)), children=windows
    )


def _read(element: ET.Element) -> UiNode:
    found = _BOUNDS.fullmatch(element.get("bounds", ""))
    if found is None:
        raise ValueError(f"a node has bounds {element.get('bounds')!r}, expected the form [left,top][right,bottom]")
    left, top, right, bottom = map(int, found.groups())

    def flag(name: str) -> bool:
        return element.get(name) == "true"

    return UiNode(
        class_name=element.get("class", ""),
        bounds=(left, top, right, bottom),
        text=element.get("text", ""),
        resource_id=element.get("resource-id", ""),
        content_desc=element.get("content-desc", ""),
        clickable=flag("clickable"),
        focused=flag("focused"),
        checked=flag("checked"),
        scrollable=flag("scrollable"),
        children=tuple(map(_read, element)),
    )
