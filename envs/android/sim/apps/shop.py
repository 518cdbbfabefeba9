"""The six shop sites: home, search results, product and cart; each shop keeps its colours on every page."""

from functools import partial

from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.sim.app import View
from agentlab_runner.envs.android.sim.state import Page, PhoneState, open_page, opens
from agentlab_runner.envs.android.sim.widgets import (
    BLANK,
    WIDTH,
    Look,
    Widget,
    backdrop,
    button,
    label,
    text_field,
    theme,
    tile,
)

TOP = 640
"""Bottom of a shop's header and search field."""
ROW = 300
SHADES = ("#ffffff", "#eef3f9", "#f9f1ec", "#eef8f0", "#f6eef9", "#f9f7ea")


def address(state: PhoneState, url: str) -> list[Widget]:
    """The browser's bar: home button and address field."""
    return [
        Widget((0, 0, WIDTH, 250), Look(fill="#dfe5ec" if theme(state).back != "#12161c" else "#2b323c"), "chrome"),
        Widget(
            (10, 90, 140, 240),
            Look(icon="globe", icon_size=110, badge="#1a9fd9", place="centre"),
            "start",
            desc="start page",
            kind="ImageButton",
            on_tap=opens("browser", "root"),
        ),
        *text_field(state, "address", url or "Search or type a web address", (150, 95, 1060, 235)),
    ]


def find(mall: str, query: str, state: PhoneState) -> None:
    open_page(state, "browser", "results", mall, query)


def _frame(state: PhoneState, mall: str, url: str) -> list[Widget]:
    look = catalog.SHOPS[mall]
    count = len(state.carts.get(mall, ()))
    return [
        backdrop(theme(state).back),
        *address(state, url),
        Widget(
            (0, 250, WIDTH, 450),
            Look(
                fill=look.fill, icon=look.icon, icon_color=look.ink, icon_size=150, size=84, color=look.ink, bold=True
            ),
            "mall",
            mall,
            kind="TextView",
        ),
        Widget(
            (880, 265, 1060, 435),
            Look(
                icon="cart",
                icon_color=look.ink,
                icon_size=120,
                place="centre",
                fill=look.fill,
                border=look.ink if count else "",
            ),
            "cart",
            desc=f"cart, {count} items",
            kind="ImageButton",
            on_tap=opens("browser", "cart", mall),
        ),
        *text_field(
            state,
            "find",
            f"Search {mall}",
            (40, 470, 1040, 620),
            icon="search",
            accent=look.accent,
        ),
    ]


def home(state: PhoneState, page: Page) -> list[Widget]:
    mall = page.args[0]
    look, dark = catalog.SHOPS[mall], theme(state)
    widgets = [
        *_frame(state, mall, look.domain),
        Widget(
            (0, TOP, WIDTH, 1100),
            Look(fill=look.fill, icon=look.icon, icon_color=look.ink, icon_size=380, place="centre"),
            "banner",
        ),
    ]
    first = list(catalog.SHOPS).index(mall) * 4
    names = list(catalog.ITEMS)
    for i, name in enumerate((names + names)[first : first + 6]):
        left, top = 30 + (i % 3) * 345, 1160 + (i // 3) * 400
        widgets.append(
            tile(
                f"category/{name}",
                name,
                (left, top, left + 330, top + 380),
                name,
                catalog.ITEMS[name],
                partial(find, mall, name),
                size=270,
                color=dark.ink,
            )
        )
    return widgets


def matches(query: str) -> str:
    """The kind of goods a query asks for, empty if none."""
    return next((name for name in catalog.ITEMS if name in query.split()), "")


def price(mall: str, item: str, index: int) -> str:
    return f"${20 + sum(map(ord, mall + item)) * (index + 3) % 900}.99"


def results(state: PhoneState, page: Page) -> list[Widget]:
    mall, query = page.args
    item, look_of = matches(query), theme(state)
    widgets = _frame(state, mall, f"{catalog.SHOPS[mall].domain}/s?k={query}")
    if not item:
        return [*widgets, label(f"No results for {query}", (60, 800, 1020, 960), 60, look_of.ink, bold=True)]
    fits = (2160 - TOP) // ROW
    most = len(catalog.BRANDS) - fits
    first = min(page.scroll, most)
    light = look_of.back != "#12161c"
    rows = tuple(
        Widget(
            (0, TOP + place * ROW, WIDTH, TOP + (place + 1) * ROW - 8),
            Look(
                fill=SHADES[i] if light else look_of.card,
                icon=item,
                badge=catalog.ITEMS[item],
                badge_radius=0.12,
                icon_size=260,
                size=54,
                bold=True,
                color=look_of.ink,
                sub=price(mall, item, i),
                sub_color="#c0281c" if light else "#ff9a8f",
                trail="chevron",
            ),
            f"result/{i}",
            f"{catalog.BRANDS[(i + len(mall)) % 6]} {item}",
            kind="TextView",
            on_tap=partial(_open, mall, item, i),
        )
        for place, i in enumerate(range(first, first + fits))
    )
    return [
        *widgets,
        Widget(
            (0, TOP, WIDTH, 2160),
            BLANK,
            "list",
            kind="RecyclerView",
            rows=tuple(f"result/{i}" for i in range(6)),
            scroll_max=most,
            row_height=ROW,
            children=rows,
        ),
    ]


def _open(mall: str, item: str, index: int, state: PhoneState) -> None:
    open_page(state, "browser", "product", mall, item, str(index))


def product(state: PhoneState, page: Page) -> list[Widget]:
    mall, item, index = page.args[0], page.args[1], int(page.args[2])
    look_of, title = theme(state), f"{catalog.BRANDS[(index + len(mall)) % 6]} {item}"
    return [
        *_frame(state, mall, f"{catalog.SHOPS[mall].domain}/p/{item}-{index}"),
        Widget(
            (190, 680, 890, 1380),
            Look(icon=item, badge=catalog.ITEMS[item], badge_radius=0.08, icon_size=700, place="centre"),
            "picture",
        ),
        label(title, (60, 1420, 1020, 1540), 76, look_of.ink, bold=True),
        label(price(mall, item, index), (60, 1540, 1020, 1660), 72, "#c0281c", bold=True),
        *(
            Widget(
                (60 + i * 90, 1670, 140 + i * 90, 1750),
                Look(
                    icon="star", icon_size=80, icon_color="#fdb813" if i < 4 - index % 2 else "#c9d0d8", place="centre"
                ),
                f"star/{i}",
            )
            for i in range(5)
        ),
        button(
            "buy",
            "Add to cart",
            (60, 1850, 1020, 2060),
            "#fdb813",
            partial(_buy, mall, f"{item}/{index}"),
            color="#20262e",
            icon="cart",
        ),
    ]


def _buy(mall: str, good: str, state: PhoneState) -> None:
    state.carts[mall] = (*state.carts.get(mall, ()), good)
    state.toast = "Added to cart"


def cart(state: PhoneState, page: Page) -> list[Widget]:
    mall, look_of = page.args[0], theme(state)
    goods = state.carts.get(mall, ())
    widgets = [
        *_frame(state, mall, f"{catalog.SHOPS[mall].domain}/cart"),
        label(f"Cart ({len(goods)})", (60, TOP, 1020, TOP + 120), 70, look_of.ink, bold=True),
    ]
    for i, good in enumerate(goods[-4:]):
        item = good.split("/")[0]
        widgets.append(
            Widget(
                (0, 780 + i * 300, WIDTH, 1072 + i * 300),
                Look(
                    fill=look_of.card,
                    icon=item,
                    badge=catalog.ITEMS[item],
                    badge_radius=0.12,
                    icon_size=230,
                    size=54,
                    bold=True,
                    color=look_of.ink,
                ),
                f"good/{i}",
                item,
                kind="TextView",
            )
        )
    return widgets


PAGES: dict[str, View] = {"home": home, "results": results, "product": product, "cart": cart}
