"""What a page of html holds: whether an xpath finds something there, and what could be said of it."""

import re
from collections.abc import Sequence
from functools import lru_cache

from lxml import etree, html

LONGEST = 1 << 20
"""Characters of a page that is read; the tasks' are below 11,000."""
TEXTS = 64
NESTED = re.compile(r"\[[^\]]*\[[^\]]*\[")
"""Three predicates in one another: each multiplies by the page what is looked at, and none is needed."""


@lru_cache(maxsize=64)
def tree(page: str) -> html.HtmlElement | None:
    """The elements of a page; None if it has none, or is longer than any task's."""
    if not page.strip() or len(page) > LONGEST:
        return None
    try:
        return html.document_fromstring(page, parser=html.HTMLParser(huge_tree=False))
    except (etree.ParserError, ValueError):
        return None


def finds(page: str, xpath: str) -> bool:
    """Whether an xpath matches an element of it; one that is none, or that could take for ever, matches nothing."""
    root = tree(page)
    if root is None or NESTED.search(re.sub(r"\"[^\"]*\"|'[^']*'", "", xpath)):
        return False
    try:
        found = root.xpath(xpath, smart_strings=False)
    except (etree.XPathError, ValueError):  # the latter of characters that no xml has
        return False
    return isinstance(found, list) and any(isinstance(one, html.HtmlElement) for one in found)


def texts(page: str) -> Sequence[str]:
    """What its elements say, each once, in the order of the page; long ones are no names and are left out."""
    root = tree(page)
    if root is None:
        return ()
    said = (" ".join(text.split()) for text in root.itertext())
    return tuple(dict.fromkeys(text for text in said if 0 < len(text) <= 60))[:TEXTS]


def query(page: str) -> str:
    """The words of the task where the page itself says them (`#query` of MiniWoB++); "" elsewhere."""
    root = tree(page)
    found = root.xpath("//*[@id='query']", smart_strings=False) if root is not None else []
    return " ".join(found[0].text_content().split()) if found else ""


def words(text: str) -> list[str]:
    """Of a page or a task, to compare two of them."""
    return re.findall(r"\w+", text.lower())
