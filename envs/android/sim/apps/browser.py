"""Browser: an address bar, a start page with the shops, web search, plain sites; the shops are in `shop.py`."""

from functools import partial

from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.app import App
from agentlab_runner.envs.android.sim.apps import shop
from agentlab_runner.envs.android.sim.apps.shop import address
from agentlab_runner.envs.android.sim.state import Page, PhoneState, open_page
from agentlab_runner.envs.android.sim.widgets import (
    Look,
    Widget,
    backdrop,
    label,
    listing,
    row,
    text_field,
    theme,
    tile,
)

FILL = "#1a9fd9"


def words(text: str) -> str:
    """Text as a search engine compares it: lower case, single blanks."""
    return " ".join(text.lower().split())


def root(state: PhoneState, page: Page) -> list[Widget]:
    look_of = theme(state)
    widgets = [
        backdrop(look_of.back),
        *address(state, ""),
        Widget((390, 300, 690, 560), Look(icon="globe", badge=FILL, icon_size=260, place="centre"), "logo"),
        *text_field(state, "query", "Search the web", (60, 620, 1020, 800), icon="search", accent=FILL),
    ]
    for i, mall in enumerate(catalog.SHOPS.values()):
        left, top = 30 + (i % 3) * 345, 860 + (i // 3) * 300
        widgets.append(
            tile(
                f"site/{mall.label}",
                mall.label,
                (left, top, left + 330, top + 290),
                mall.icon,
                mall.fill,
                partial(visit, mall.domain),
                ink=mall.ink,
                size=220,
                color=look_of.ink,
            )
        )
    for i, (name, entity) in enumerate(list(catalog.SITES.items())[:4]):
        left = 30 + i * 258
        widgets.append(
            tile(
                f"site/{name}",
                name.split(".")[0],
                (left, 1500, left + 246, 1740),
                entity.icon,
                entity.fill,
                partial(visit, name),
                size=160,
                radius=0.5,
                color=look_of.ink,
            )
        )
    return widgets


def visit(site: str, state: PhoneState) -> None:
    """Open what was typed or tapped: a shop, a plain site, or, if it is no address, a search for it."""
    text = words(site).removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")
    label_ = text.removesuffix(".com")
    if label_ in catalog.SHOPS and text.endswith(".com"):
        open_page(state, "browser", "home", label_)
    elif text in catalog.SITES or ("." in text and " " not in text):
        open_page(state, "browser", "site", text)
    elif text:
        open_page(state, "browser", "search", text)


def search(state: PhoneState, page: Page) -> list[Widget]:
    query, look_of = page.args[0], theme(state)
    named = [mall for mall in catalog.SHOPS.values() if mall.label in query.replace(" ", "")]
    rows = [
        row(
            f"result/{mall.domain}",
            mall.domain,
            mall.icon,
            mall.fill,
            partial(visit, mall.domain),
            look_of,
            sub=f"Official site of {mall.label}",
            ink=mall.ink,
        )
        for mall in named
    ]
    shift = sum(map(ord, query))
    sites = list(catalog.SITES)
    for i in range(len(sites)):
        name = sites[(i + shift) % len(sites)]
        entity = catalog.SITES[name]
        rows.append(
            row(
                f"result/{name}",
                f"{query} - {name}",
                entity.icon,
                entity.fill,
                partial(visit, name),
                look_of,
                sub=f"Everything about {query}",
            )
        )
    return [
        backdrop(look_of.back),
        *address(state, query),
        Widget(
            (0, 260, 1080, 440),
            Look(fill="#0f5f8a", icon="search", icon_size=110, size=60, color="#ffffff", bold=True),
            "banner",
            query,
            kind="TextView",
        ),
        listing(page, rows, top=450, height=240),
    ]


def site(state: PhoneState, page: Page) -> list[Widget]:
    name, look_of = page.args[0], theme(state)
    entity = catalog.SITES.get(name, catalog.Entity("globe", catalog.INK))
    return [
        backdrop(look_of.back),
        *address(state, name),
        Widget((0, 260, 1080, 900), Look(fill=entity.fill, icon=entity.icon, icon_size=420, place="centre"), "banner"),
        label(name, (60, 940, 1020, 1080), 84, look_of.ink, bold=True),
        *(
            Widget((60, 1120 + i * 190, 1020, 1270 + i * 190), Look(fill=look_of.card, radius=30), f"paragraph/{i}")
            for i in range(5)
        ),
    ]


def submit(state: PhoneState) -> None:
    name, text = state.focus, state.page.fields.get(state.focus, "")
    if not text.strip():
        return
    state.focus = ""
    if name == "find":
        shop.find(state.page.args[0], words(text), state)
    elif name == "query":
        open_page(state, "browser", "search", words(text))
    else:
        visit(text, state)


APP = App("browser", "Browser", "globe", FILL, {"root": root, "search": search, "site": site, **shop.PAGES}, submit)
