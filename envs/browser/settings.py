"""What an `env.browser` config node may say; light, so a wrong value is refused before a browser is started."""

import re
from typing import Literal

from pydantic import PositiveFloat, PositiveInt, field_validator

from agentlab_runner.envs.settings import Settings


class BrowserSettings(Settings):
    """conf/env/browser/chromium.yaml and endpoint.yaml."""

    kind: Literal["chromium", "endpoint"] = "chromium"
    """`chromium` is started here and ended with its last page; `endpoint` is a running Chrome that one connects to."""
    executable: str | None = None
    """Of chromium; None: AGENTLAB_CHROMIUM, else the first of `chromium.NAMES` that is installed."""
    url: str | None = None
    """Of an endpoint on this machine: `http://127.0.0.1:9222`, or the browser's own `ws://` address."""
    patience: PositiveFloat = 10.0
    """Seconds in which a page answers; after that it counts as lost."""
    pages: PositiveInt = 4
    """Environments that share one browser."""

    @field_validator("url")
    @classmethod
    def _is_of_this_machine(cls, url: str | None) -> str | None:
        if url is None or re.match(r"(ws|http)://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)", url):
            return url
        raise ValueError(f"{url!r} is no browser of this machine; give one such as http://127.0.0.1:9222")
