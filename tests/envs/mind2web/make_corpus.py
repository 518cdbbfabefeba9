"""Makes `envs/mind2web/made`, a small corpus of invented web sites in the form of Mind2Web's data: `python -m
tests.envs.mind2web.make_corpus`. None of it is of Mind2Web, or of a site that there is."""

import json
import pickle
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from agentlab_runner.envs.mind2web.samples import MADE
from tests.envs.mind2web.sites import SPLITS, Act, Node, Site, Task, _library, with_banner

KINDS = {"a": "link", "button": "button", "input": "textbox", "select": "combobox"}
CANDIDATES = frozenset({"a", "button", "input", "select", "form", "li", "label", "nav", "div"})
UNLIKELY = 4
"""Of so many tasks of a test split one has a step whose element the ranker has put behind the first five."""


@dataclass
class Rendered:
    """A page as text, and what is known of its elements by id."""

    html: str
    known: dict[str, tuple[str, Mapping[str, str], str]] = field(default_factory=dict)
    """Tag, attributes and words."""
    key: str = ""
    """Id of the element that is acted on."""


def words_of(node: Node) -> str:
    return " ".join(child if isinstance(child, str) else words_of(child) for child in node[2]).strip()


def render(root: Node, mark: str, ids: Iterator[int], uid: str = "") -> Rendered:
    """A page, its elements numbered; with `uid` as a browser would have saved it, with what cleaning takes away."""
    page = Rendered("")

    def text(node: Node) -> str:
        tag, attributes, children = node
        number = str(next(ids))
        shown = {"backend_node_id": number, **{name: value for name, value in attributes.items() if name != "key"}}
        page.known[number] = (tag, shown, words_of(node))
        if attributes.get("key") == mark:
            page.key = number
            if uid:
                shown["data_pw_testid_buckeye"] = uid
        inside = [
            f'<text backend_node_id="{next(ids)}">{escape(one)}</text>' if isinstance(one, str) else text(one)
            for one in children
        ]
        named = " ".join(f"{name}={quoteattr(value)}" for name, value in shown.items())
        return f"<{tag} {named}>{' '.join(inside)}</{tag}>" if inside else f"<{tag} {named} />"

    page.html = text(root)
    return page


def numbers(start: int) -> Iterator[int]:
    """Ids as a browser gives them: upwards, with gaps."""
    rng = Random(start)
    while True:
        yield start
        start += rng.randint(1, 3)


def with_extras(html: str, banner: str) -> str:
    """The whole page: scripts and a banner that cleaning takes away."""
    extras = f'<script>var page = "&lt;{len(html)}&gt;";</script>{banner}'
    return html.replace("</body>", f"{extras}</body>")


def ranked(page: Rendered, goal: str, act: Act, rng: Random, likely: bool) -> dict[str, int]:
    """Where a ranker would put each candidate: by the words it shares with the task, and a bit of chance."""
    wanted = set(re.findall(r"\w+", goal.lower()))

    def score(number: str) -> float:
        tag, attributes, words = page.known[number]
        shared = wanted & set(re.findall(r"\w+", f"{words} {' '.join(attributes.values())}".lower()))
        own = (2.5 if likely else -9.0) if number == page.key else 0.0
        return len(shared) + own + 1.5 * (tag in KINDS) + rng.random()

    numbered = [number for number, (tag, *_) in page.known.items() if tag in CANDIDATES]
    return {number: place for place, number in enumerate(sorted(numbered, key=score, reverse=True))}


def told(page: Rendered, act: Act) -> str:
    """The action in words."""
    if act.cleaned:
        tag, attributes, words = page.known[page.key]
        name = f"[{KINDS[tag]}]  {attributes.get('aria_label') or attributes.get('name') or words}"
    else:
        name = "[button]  Close"
    return f"{name} -> {act.op}" + (f": {act.value}" if act.value else "")


def sample(site: Site, task: Task, name: str, rng: Random, unlikely: int | None, ranks: dict[str, Any]) -> Any:
    actions, reprs = [], []
    for place, act in enumerate(task.acts):
        uid, first = f"{name}-{place}", rng.randint(100, 9000)
        page = render(act.page, act.mark, numbers(first))
        raw = render(act.page, act.mark, numbers(first), uid)
        marked = "" if act.cleaned else f' data_pw_testid_buckeye="{uid}"'
        banner = f'<button backend_node_id="{first + 990}"{marked} aria_label="close banner">Close</button>'
        found = ranked(page, task.goal, act, rng, place != unlikely)
        candidates = [{"backend_node_id": number, "tag": page.known[number][0]} for number in found]
        positives = [one for one in candidates if one["backend_node_id"] == page.key]
        ranks[f"{name}_{uid}"] = found
        reprs.append(told(page, act))
        actions.append({
            "action_uid": uid,
            "operation": {"op": act.op, "original_op": act.op, "value": act.value},
            "raw_html": with_extras(raw.html, banner),
            "cleaned_html": page.html,
            "pos_candidates": positives,
            "neg_candidates": sorted((one for one in candidates if one not in positives),
                                     key=lambda one: int(one["backend_node_id"])),
        })  # fmt: skip
    about = {"annotation_id": name, "website": site.name, "domain": site.domain, "subdomain": site.subdomain}
    return {**about, "confirmed_task": task.goal, "action_reprs": reprs, "actions": actions}


def corpus() -> dict[str, bytes]:
    """The files by name."""
    files: dict[str, bytes] = {}
    ranks: dict[str, Any] = {}
    goals: set[str] = set()
    for split, sites in SPLITS.items():
        made: list[Any] = []
        for site, count in sites:
            for place in range(count):
                name = f"made-{split}-{len(made):02d}"
                rng = Random(name)
                task = site.task(site, rng)
                while task.goal in goals:
                    task = site.task(site, rng)
                if name == "made-test_task-05":
                    task = _library(site, rng, "Maps [second edition]", "Hilltop")
                goals.add(task.goal)
                if place == 1 and site.name in ("brightcart", "jetaway"):
                    task = with_banner(task, site)
                unlikely = 1 if split != "train" and len(made) % UNLIKELY == 2 else None
                made.append(sample(site, task, name, rng, unlikely, ranks))
        half = len(made) // 2
        for number, part in enumerate((made[:half], made[half:])):
            files[f"{split}/made_{number}.json"] = (json.dumps(part, indent=0) + "\n").encode()
    scores = {key: {one: round(1 - rank / len(own), 3) for one, rank in own.items()} for key, own in ranks.items()}
    files["scores_all_data.pkl"] = pickle.dumps({"scores": scores, "ranks": ranks}, protocol=4)
    return files


def write(folder: Path) -> None:
    for name, content in corpus().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else MADE)
