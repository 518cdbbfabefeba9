"""The rules of Mind2Web's pages and scores once more, slowly and by other means: trees rebuilt instead of edited."""

import re
import string
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

WORDS_FROM = ["role", "aria_role", "type", "alt", "aria_description", "aria_label", "label", "title", "name",
              "text_value", "value", "placeholder", "input_checked", "input_value", "option_selected",
              "class"]  # fmt: skip
ACTION = re.compile(r"(?:^|\s)(CLICK|SELECT|TYPE)?\s?\[(.+?)\](?:\s\[(.+?)\])?")
"""As released; a value ends at the first bracket that closes."""


@dataclass(eq=False)
class Node:
    tag: str
    attributes: dict[str, str]
    text: str | None
    tail: str = ""
    children: list["Node"] = field(default_factory=list)
    parent: "Node | None" = None

    @property
    def key(self) -> str:
        return self.attributes.get("backend_node_id", "")

    def walk(self) -> "list[Node]":
        return [self] + [node for child in self.children for node in child.walk()]


def tree(html: str) -> Node:
    def made(element: ET.Element, parent: Node | None) -> Node:
        node = Node(element.tag, dict(element.attrib), element.text, element.tail or "", [], parent)
        node.children = [made(child, node) for child in element]
        return node

    return made(ET.fromstring(html), None)


def page(html: str, candidates: list[str]) -> str:
    root = tree(html)
    kept = set().union(*(around(root, key) for key in candidates)) if candidates else set()
    (shown,) = rebuilt(root, kept, set(candidates))
    text = line(shown)
    for name, sign in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " ")):
        text = text.replace(name, sign)
    return " ".join(text.split())


def around(root: Node, key: str) -> set[str]:
    """Ids of what stays for one candidate: itself, ancestors, 50 of 6 generations, 3 neighbours to either side."""
    node = next(one for one in root.walk() if one.key == key)
    stays, above = {key}, node.parent
    while above is not None:
        stays.add(above.key)
        above = above.parent
    generation = {id(node): 0}
    below = []
    for one in node.walk()[1:]:
        generation[id(one)] = generation[id(one.parent)] + 1
        if generation[id(one)] <= 6:
            below.append(one.key)
    stays.update(below[:50])
    if node.parent is not None:
        beside = [one for one in node.parent.children if one.tag != "text" or one is node]
        at = beside.index(node)
        stays.update(one.key for place, one in enumerate(beside) if abs(place - at) <= 3)
    return stays


def rebuilt(node: Node, kept: set[str], candidates: set[str]) -> list[Node]:
    """What stands in a node's place: itself, its only child, or nothing."""
    is_text, is_root = node.tag == "text", node.parent is None
    if not is_root and (node.parent.key if is_text else node.key) not in kept:
        return []
    children = [one for child in node.children for one in rebuilt(child, kept, candidates)]
    named = dict(node.attributes)
    if is_text or node.key not in candidates:
        named.pop("backend_node_id", None)
    if not (is_root or is_text or named or any(one.tag == "text" for one in children)) and len(children) <= 1:
        return children
    return [Node(node.tag, named, node.text, node.tail, children)]


def line(node: Node) -> str:
    inside = "".join(line(child) for child in node.children)
    if node.tag == "text":
        words = escaped(" ".join((node.text or "").split()[:20])).replace('"', " ")
        return words + inside + escaped(node.tail)
    parts = [f"<{node.tag}"] + ([f"id={node.key}"] if node.key else [])
    parts += [meta.replace('"', "&quot;")] if (meta := escaped(described(node))) else []
    said = escaped(node.text or "").replace('"', " ") + inside
    if not node.children and not node.text:
        return " ".join(parts) + (" />" if len(parts) > 1 else "/>") + escaped(node.tail)
    return " ".join(parts) + f">{said}</{node.tag}>" + escaped(node.tail)


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def described(node: Node) -> str:
    values: list[str] = []
    for name in WORDS_FROM:
        value = node.attributes.get(name, "").lower()
        if value in ("hidden", "none", "presentation", "null", "undefined") or value[:4] == "http":
            continue
        short = [word for word in value.split() if len(word) < 15]
        if short and " ".join(short[:5]) not in values:
            values.append(" ".join(short[:5]))
    return " ".join([word for value in values for word in value.split()][:20])


def scores(said: str, true: str) -> dict[str, float]:
    """Of one answer, by the released rules; the fields' equality is that of the fine-tuned path."""
    (op, key, value), (true_op, true_key, true_value) = (fields(text) for text in (said, true))
    bare = [None if one is None else " ".join(one.split()) for one in (value, true_value)]
    return {
        "element_accuracy": float(key == true_key),
        "action_f1": f1(action_words(op, value), action_words(true_op, true_value)),
        "step_success": float((op, key, bare[0]) == (true_op, true_key, bare[1])),
        "step_strict": float(said == true),
    }


def fields(text: str) -> tuple[str | None, str | None, str | None]:
    found = ACTION.search(text)
    return (found[1], found[2], found[3]) if found else (None, None, None)


def action_words(op: str | None, value: str | None) -> str:
    if op is None:
        return value or ""
    return op if op == "CLICK" or value is None else f"{op} {value}"


def f1(said: str, true: str) -> float:
    first = {word for word in said.split() if word not in string.punctuation}
    second = {word for word in true.split() if word not in string.punctuation}
    if not first and not second:
        return 1.0
    hits = len(first & second)
    if not hits:
        return 0.0
    precision, recall = hits / len(first), hits / len(second)
    return 2 * precision * recall / (precision + recall)
