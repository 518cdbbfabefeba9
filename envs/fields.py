"""Named values in an utterance that is JSON, or meant to be. Text is only ever matched."""

import re

_VALUE_OF_ANOTHER = r""":\s*(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')(?=\s*(?:[,}\]]|\Z))"""


def field_values(field: str, text: str) -> list[str]:
    """The values of one field, in order; what looks like it inside the quoted value of another field is none.

    Args:
        field: pattern of the name, the colon and the value, with groups of which one holds the value; case is ignored.
    """
    found = re.compile(rf"{field}|{_VALUE_OF_ANOTHER}", re.IGNORECASE | re.DOTALL).finditer(text)
    return [match[match.lastindex] for match in found if match.lastindex]
