"""Made-up web sites and tasks on them: pages as trees of (tag, attributes, children), and what is done on each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

Node = tuple[str, Mapping[str, str], Sequence[Any]]
"""Children are nodes and texts."""


@dataclass(frozen=True)
class Act:
    """One action of a task."""

    page: Node
    mark: str
    """`key` of the element, which is in its attributes."""
    op: str
    value: str = ""
    cleaned: bool = True
    """False: cleaning the page has lost the element."""


@dataclass(frozen=True)
class Task:
    """What is asked for, and how it is done."""

    goal: str
    acts: Sequence[Act] = field(default_factory=tuple)


@dataclass(frozen=True)
class Site:
    """A web site and what can be asked of it."""

    name: str
    domain: str
    subdomain: str
    task: Callable[["Site", Random], Task]
    menu: Sequence[str]


COLOURS = ("blue", "green", "red", "white", "black", "yellow")
THINGS = ("kettle", "lamp", "backpack", "mug", "blanket", "clock", "jacket", "chair")
SIZES = ("Small", "Medium", "Large")
CITIES = ("Lisbon", "Oslo", "Krakow", "Ghent", "Turin", "Malmo", "Porto", "Graz")
TITLES = ("The Quiet Harbour", "Salt and Stone", "A Year of Rain", "Paper Lanterns", "The Ninth Bridge",
          "Maps [second edition]")  # fmt: skip
BRANCHES = ("Central", "Riverside", "Hilltop")
FILMS = ("Night Ferry", "The Long Orchard", "Copper Sky", "Two Winters")
TIMES = ("14:30", "17:15", "20:45")
ROLES = ("gardener", "nurse", "baker", "welder", "librarian", "electrician")
PEOPLE = ("1 adult", "2 adults", "3 adults", "4 adults")
CUISINES = ("Thai", "Greek", "Mexican", "Indian")
PLACES = ("Green Spoon", "Harbour Table", "The Copper Pot", "Old Mill Kitchen")


def link(key: str, text: str, **more: str) -> Node:
    return "a", {"key": key, **more}, (text,)


def button(key: str, text: str, **more: str) -> Node:
    return "button", {"key": key, "type": "submit", **more}, (text,)


def entry(key: str, label: str, **more: str) -> Node:
    box: Node = ("input", {"key": key, "type": "text", "aria_label": label, "placeholder": label, **more}, ())
    return "div", {"class": "field"}, (("label", {}, (label,)), box)


def chooser(key: str, label: str, options: Sequence[str]) -> Node:
    shown = tuple(("option", {"value": one.lower()}, (one,)) for one in options)
    return "div", {"class": "field"}, (("label", {}, (label,)), ("select", {"key": key, "name": label}, shown))


def listed(*nodes: Node) -> Node:
    return "ul", {"role": "list"}, tuple(("li", {}, (one,)) for one in nodes)


def page(site: Site, *main: Node) -> Node:
    """A page of a site: what is on all of them round what is on this one."""
    menu = tuple(link(f"menu-{place}", text) for place, text in enumerate(site.menu))
    head: Node = ("header", {}, (link("home", f"{site.name} home"), ("nav", {"aria_label": "main menu"}, menu)))
    foot: Node = ("footer", {}, (link("help", "Help and contact"), link("terms", "Terms")))
    body = (head, ("main", {}, main), ("div", {}, (("div", {}, (foot,)),)))
    return "html", {}, (("body", {"class": "page"}, body),)


def shop(site: Site, rng: Random) -> Task:
    colour, thing, size = rng.choice(COLOURS), rng.choice(THINGS), rng.choice(SIZES)
    others = rng.sample([(c, t) for c in COLOURS for t in THINGS if (c, t) != (colour, thing)], 3)
    found = [*others, (colour, thing)]
    rng.shuffle(found)
    items = listed(*(link("item" if one == (colour, thing) else f"other-{n}", f"{one[0].title()} {one[1]}")
                     for n, one in enumerate(found)))  # fmt: skip
    start = page(site, ("form", {"role": "search"}, (entry("search", "Search products"), button("go", "Search"))),
                 ("h2", {}, ("Offers of the week",)))  # fmt: skip
    chosen = page(site, ("h1", {}, (f"{colour.title()} {thing}",)), chooser("size", "Size", SIZES),
                  button("add", "Add to basket"), link("wish", "Add to wish list"))  # fmt: skip
    return Task(
        f"Find a {colour} {thing}, choose size {size} and add it to the basket.",
        [
            Act(start, "search", "TYPE", f"{colour} {thing}"), Act(start, "go", "CLICK"),
            Act(page(site, ("h2", {}, ("Results",)), items), "item", "CLICK"),
            Act(chosen, "size", "SELECT", size), Act(chosen, "add", "CLICK"),
        ],
    )  # fmt: skip


def journey(site: Site, rng: Random) -> Task:
    start, end, people = *rng.sample(CITIES, 2), rng.choice(PEOPLE)
    form = page(site, ("form", {}, (entry("from", "From"), entry("to", "To"), chooser("people", "Passengers", PEOPLE),
                                    button("go", "Search flights"))))  # fmt: skip
    found = page(site, listed(*(button("first" if not n else f"later-{n}", f"Select the flight at {time}")
                                for n, time in enumerate(TIMES))))  # fmt: skip
    return Task(
        f"Book the first flight from {start} to {end} for {people}.",
        [
            Act(form, "from", "TYPE", start), Act(form, "to", "TYPE", end), Act(form, "people", "SELECT", people),
            Act(form, "go", "CLICK"), Act(found, "first", "CLICK"),
        ],
    )  # fmt: skip


def library(site: Site, rng: Random) -> Task:
    title, branch = rng.choice(TITLES), rng.choice(BRANCHES)
    return _library(site, rng, title, branch)


def _library(site: Site, rng: Random, title: str, branch: str) -> Task:
    others = rng.sample([one for one in TITLES if one != title], 2)
    found = [*others, title]
    rng.shuffle(found)
    start = page(site, ("form", {"role": "search"}, (entry("search", "Title or author"), button("go", "Find books"))))
    books = page(site, listed(*(link("book" if one == title else f"other-{n}", one) for n, one in enumerate(found))))
    chosen = page(site, ("h1", {}, (title,)), chooser("branch", "Pick up at", BRANCHES), button("hold", "Place hold"))
    return Task(
        f"Reserve the book {title} for pick up at the {branch} branch.",
        [
            Act(start, "search", "TYPE", title), Act(start, "go", "CLICK"), Act(books, "book", "CLICK"),
            Act(chosen, "branch", "SELECT", branch), Act(chosen, "hold", "CLICK"),
        ],
    )  # fmt: skip


def cinema(site: Site, rng: Random) -> Task:
    film, time, seats = rng.choice(FILMS), rng.choice(TIMES), rng.choice(("1", "2", "3", "4"))
    films = page(site, listed(*(link("film" if one == film else f"other-{n}", one) for n, one in enumerate(FILMS))))
    times = page(site, ("h1", {}, (film,)), *(button("time" if one == time else f"other-{n}", one)
                                              for n, one in enumerate(TIMES)))  # fmt: skip
    seating = page(site, ("h1", {}, (film,)), chooser("seats", "Tickets", ("1", "2", "3", "4")),
                   button("next", "Continue to payment"))  # fmt: skip
    return Task(
        f"Buy {seats} tickets for {film} at {time}.",
        [
            Act(films, "film", "CLICK"), Act(times, "time", "CLICK"), Act(seating, "seats", "SELECT", seats),
            Act(seating, "next", "CLICK"),
        ],
    )  # fmt: skip


def jobs(site: Site, rng: Random) -> Task:
    role, city = rng.choice(ROLES), rng.choice(CITIES)
    start = page(site, ("form", {}, (entry("what", "Job title"), entry("where", "City"), button("go", "Find jobs"))))
    rows = listed(*(button("save" if not n else f"later-{n}", f"Save job: {role}, {rank}")
                    for n, rank in enumerate(("full time", "part time", "weekends"))))  # fmt: skip
    return Task(
        f"Look for {role} jobs in {city} and save the full time one.",
        [
            Act(start, "what", "TYPE", role), Act(start, "where", "TYPE", city), Act(start, "go", "CLICK"),
            Act(page(site, rows), "save", "CLICK"),
        ],
    )  # fmt: skip


def dining(site: Site, rng: Random) -> Task:
    cuisine, place, people = rng.choice(CUISINES), rng.choice(PLACES), rng.choice(PEOPLE)
    start = page(site, chooser("cuisine", "Cuisine", CUISINES), button("go", "Show restaurants"))
    found = page(site, listed(*(link("place" if one == place else f"other-{n}", one) for n, one in enumerate(PLACES))))
    table = page(site, ("h1", {}, (place,)), chooser("people", "Guests", PEOPLE), button("book", "Book a table"))
    return Task(
        f"Book a table for {people} at the {cuisine} restaurant {place}.",
        [
            Act(start, "cuisine", "SELECT", cuisine), Act(start, "go", "CLICK"), Act(found, "place", "CLICK"),
            Act(table, "people", "SELECT", people), Act(table, "book", "CLICK"),
        ],
    )  # fmt: skip


def with_banner(task: Task, site: Site) -> Task:
    """The same task after a banner was closed, which the cleaned page does not have."""
    return Task(task.goal, [Act(task.acts[0].page, "banner", "CLICK", cleaned=False), *task.acts])


BRIGHT = Site("brightcart", "Shopping", "General", shop, ("Kitchen", "Garden", "Clothes"))
LEAF = Site("leafmarket", "Shopping", "Department", shop, ("Home", "Outdoor", "Sale"))
SKY = Site("skyhop", "Travel", "Airlines", journey, ("Book", "Check in", "My trips"))
READ = Site("readwell", "Info", "Library", library, ("Catalogue", "Events", "My account"))
CORNER = Site("cornerstore", "Shopping", "General", shop, ("New in", "Brands", "Stores"))
JET = Site("jetaway", "Travel", "Airlines", journey, ("Flights", "Hotels", "Cars"))
FORK = Site("forkful", "Travel", "Restaurant", dining, ("Explore", "Gift cards", "Sign in"))
CINE = Site("cinehall", "Entertainment", "Cinema", cinema, ("Films", "Food", "Members"))
JOB = Site("jobnest", "Jobs", "Search", jobs, ("Companies", "Salaries", "Post a job"))

SPLITS: Mapping[str, Sequence[tuple[Site, int]]] = {
    "train": ((BRIGHT, 4), (LEAF, 3), (SKY, 4), (READ, 3), (FORK, 2)),
    "test_task": ((BRIGHT, 2), (LEAF, 1), (SKY, 2), (READ, 2), (FORK, 1)),
    "test_website": ((CORNER, 4), (JET, 4)),
    "test_domain": ((CINE, 4), (JOB, 4)),
}
"""Sites and how many tasks of each: those of `test_website` are of domains, those of `test_domain` of none, that
`train` has."""
