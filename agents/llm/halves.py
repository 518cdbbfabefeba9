"""Halves of characters, left where an emoji was cut: Python and JSON hold them, files and tokenizers do not."""


def readable(text: str) -> str:
    """The text with halves joined that belong together, and a mark in the place of each that is alone."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
