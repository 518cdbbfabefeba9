"""What is shown of a page: some candidates and what stands round them, in few words (Mind2Web, arXiv 2306.06070)."""

import copy
import re
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from lxml import etree

KEY = "backend_node_id"
DEPTH = 6
"""Generations below a candidate. The paper's 5, and one more, as the release counts them."""
DESCENDANTS = 50
SIBLINGS = 3
"""To either side."""

DESCRIBING = (
    "role", "aria_role", "type", "alt", "aria_description", "aria_label", "label", "title", "name", "text_value",
    "value", "placeholder", "input_checked", "input_value", "option_selected", "class",
)  # fmt: skip
"""Attributes whose values are shown, in this order."""
MEANINGLESS = ("hidden", "none", "presentation", "null", "undefined")
LONGEST_WORD = 14
WORDS_OF_VALUE, WORDS = 5, 20
ENTITIES = (
    ("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&ndash;", "-"), ("&rsquo;", "'"),
    ("&lsquo;", "'"), ("&ldquo;", '"'), ("&rdquo;", '"'), ("&#39;", "'"), ("&#40;", "("), ("&#41;", ")"),
)  # fmt: skip


def parsed(html: str) -> Any:
    """The root of a page, which is XML in these data; nothing outside it is read, and no entity of its own expanded.

    Raises:
        ValueError: if it is none.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        return etree.fromstring(html.encode(), parser)
    except etree.XMLSyntaxError as fault:
        raise ValueError(f"it is no well-formed tree ({fault})") from None


def shown(root: Any, candidates: Collection[str]) -> str:
    """The page as a model reads it, the candidates with their ids.

    Raises:
        ValueError: if the page lacks one of them.
    """
    return written(described(pruned(root, candidates)))


def pruned(root: Any, candidates: Collection[str]) -> Any:
    """A copy of the tree with the candidates, their ancestors, near descendants and neighbours.

    Elements are known by `backend_node_id`, which the others lose. What is left without attributes, text and more than
    one child gives way to its child.
    """
    kept = _kept(root, candidates)
    tree = copy.deepcopy(root)
    for node in list(tree.iter(etree.Element))[::-1]:
        parent = node.getparent()
        is_text = node.tag == "text"
        known = (parent if is_text and parent is not None else node).get(KEY, "")
        if known not in kept and parent is not None:
            parent.remove(node)
            continue
        if known not in candidates or is_text:
            node.attrib.pop(KEY, None)
        children = [child for child in node if isinstance(child.tag, str)]
        bare = not node.attrib and not is_text and all(child.tag != "text" for child in children)
        if bare and parent is not None and len(node) <= 1:
            for child in list(node):
                node.addprevious(child)
            parent.remove(node)
    return tree


def described(tree: Any) -> Any:
    """The same tree, its attributes replaced by `id` and by `meta`, the words of those that say something."""
    for node in tree.iter(etree.Element):
        if node.tag == "text":
            node.text = " ".join((node.text or "").split()[:WORDS])
            continue
        meta, key = _meta(node), node.get(KEY)
        node.attrib.clear()
        if key:
            node.set("id", key)
        if meta:
            node.set("meta", meta)
    return tree


def written(tree: Any) -> str:
    """A described tree as text, without quotes and in one line."""
    text = etree.tostring(tree, encoding="unicode", with_tail=False).replace('"', " ")
    text = text.replace("meta= ", "").replace("id= ", "id=").replace(" >", ">")
    text = re.sub(r"<text>(.*?)</text>", r"\1", text)
    for name, sign in ENTITIES:
        text = text.replace(name, sign)
    return re.sub(r"\s+", " ", text).strip()


def element(root: Any, uid: str) -> tuple[str, str]:
    """Id and text of the element that was acted on, as the browser marked it in a whole page.

    Raises:
        ValueError: if none was marked, or it has no id.
    """
    found = [node for node in root.iter(etree.Element) if node.get("data_pw_testid_buckeye") == uid]
    key = found[0].get(KEY) if found else None
    if not key:
        raise ValueError(f"its raw_html marks no element by {uid}")
    tree = described(pruned(root, [key]))
    return key, written(next(node for node in tree.iter(etree.Element) if node.get("id") == key))


def _kept(root: Any, candidates: Collection[str]) -> set[str]:
    """Ids of what stays; what has none goes by ""."""
    known: dict[str, Any] = {}
    for node in root.iter(etree.Element):
        known.setdefault(node.get(KEY, ""), node)
    kept: set[str] = set()
    for key in candidates:
        if key not in known or not key:
            raise ValueError(f"it has no element {key!r}, which is a candidate")
        node = known[key]
        parent = node.getparent()
        beside = [] if parent is None else [one for one in parent if one is node or one.tag != "text"]
        place = beside.index(node) if beside else 0
        near = [node, *node.iterancestors(), *islice(_below(node, DEPTH), DESCENDANTS)]
        near += beside[max(0, place - SIBLINGS) : place + SIBLINGS + 1]
        kept |= {one.attrib.get(KEY, "") for one in near}
    return kept


def _below(node: Any, generations: int) -> Iterator[Any]:
    """Descendants in the order of the page."""
    for child in node if generations else ():
        yield child
        yield from _below(child, generations - 1)


def _meta(node: Any) -> str:
    values: list[str] = []
    for name in DESCRIBING:
        value = node.get(name, "").lower()
        if value in MEANINGLESS or value.startswith("http"):
            continue
        value = " ".join([word for word in value.split() if len(word) <= LONGEST_WORD][:WORDS_OF_VALUE])
        if value and value not in values:
            values.append(value)
    return " ".join(" ".join(values).split()[:WORDS])
