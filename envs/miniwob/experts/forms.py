"""Tasks that are done by writing what the task or the page says."""

import re
from collections.abc import Sequence

from agentlab_runner.envs.miniwob.experts.view import BUTTON, View, click, does, fill, press, said, write
from agentlab_runner.envs.miniwob.primitives import Primitive

Moves = Sequence[Primitive]


@does("enter-text", "enter-text-dynamic")
def text(view: View) -> Moves:
    return [*fill("//*[@id='tt']", view.quoted[0]), BUTTON]


@does("enter-text-2")
def text_in_case(view: View) -> Moves:
    word = view.quoted[0]
    return [*fill("//*[@id='tt']", word.upper() if "upper case" in view.goal else word.lower()), BUTTON]


@does("enter-password")
def password(view: View) -> Moves:
    (secret,) = view.quoted
    return [*fill("//*[@id='password']", secret), *fill("//*[@id='verify']", secret), BUTTON]


@does("login-user")
def login(view: View) -> Moves:
    name, secret = view.quoted
    return [*fill("//*[@id='username']", name), *fill("//*[@id='password']", secret), BUTTON]


@does("login-user-popup")
def login_past_popups(view: View) -> Moves:
    """A popup comes up, if at all, when a field is gone to: after each the page is looked at."""
    popup, done = view.count("//*[@id='popup']") > 0, []
    for field, wanted in zip(("username", "password"), view.quoted, strict=True):
        path = f"//*[@id='{field}']"
        if view.read(path, "value") != [wanted]:
            done += fill(path, wanted)
            if not popup:
                return done
    return [*([click("//*[@id='popup-cancel']")] if popup else []), *done, BUTTON]


@does("enter-date")
def date(view: View) -> Moves:
    wanted = view.between("Enter ", " as the date")
    return [click("//*[@id='tt']"), press("arrowleft"), press("arrowleft"), write(wanted), BUTTON]


@does("enter-time")
def time(view: View) -> Moves:
    hour, minute, half = re.findall(r"(\d+):(\d+)\s*([AP]M)", view.goal)[0]
    return [click("//*[@id='tt']"), press("arrowleft"), write(f"{hour:0>2}{minute}{half}"), BUTTON]


@does("choose-date", "choose-date-nodelay", "choose-date-easy", "choose-date-medium")
def date_from_calendar(view: View) -> Moves:
    month, day, _ = view.between("Select ", " as the date").split("/")
    return [click("//*[@id='datepicker']"), *_in_calendar(int(month), int(day)), BUTTON]


def _in_calendar(month: int, day: int) -> Moves:
    """It opens at the last month that can be chosen, which is December."""
    return [*[click("//a[@data-handler='prev']")] * (12 - month), click(f"//a[text()='{day}']")]


@does("book-flight", "book-flight-nodelay")
def flight(view: View) -> Moves:
    kind, start, end = re.findall(r"the (\w+) one-way flight from: (.*) to: (.*) on", view.goal)[0]
    month, day, _ = view.goal.rsplit(" on ", 1)[1].rstrip(".").split("/")
    if kind == "cheapest":
        best = "//button[@data-price][not(@data-price > //button/@data-price)]"
    else:
        best = "//div[@class='flight'][.//*[@data-duration][not(@data-duration > //*/@data-duration)]]//button"
    return [
        *_city("flight-from", start), *_city("flight-to", end), click("//*[@id='datepicker']"),
        *_in_calendar(int(month), int(day)), click("//*[@id='search']"), click(best),
    ]  # fmt: skip


def _city(field: str, name: str) -> Moves:
    offered = f"//li[contains(., {said(name)})][not(ancestor::ul[contains(@style, 'display: none')])]"
    return [*fill(f"//*[@id='{field}']", name), click(f"({offered})[1]")]


@does("use-autocomplete", "use-autocomplete-nodelay")
def completed(view: View) -> Moves:
    start, *end = view.quoted
    ends = f"[substring(., string-length(.) - string-length({said(end[0])}) + 1) = {said(end[0])}]" if end else ""
    return [*fill("//*[@id='tags']", start), click(f"(//li[starts-with(., {said(start)})]{ends})[1]"), BUTTON]


@does("terminal")
def terminal(view: View) -> Moves:
    _, _, *answers = view.read("//span[@class='output']")  # after the welcome
    if not answers:
        return [click("//*[@id='terminal']"), write("ls"), press("enter")]
    names = answers[0].split()
    ending = re.search(r"extension (\.\S+)$", view.goal)
    name = next(one for one in names if (one.endswith(ending[1]) if ending else "." not in one))
    return [write(f"rm {name}"), press("enter")]


@does("guess-number")
def guess(view: View) -> Moves:
    """By halves: what is tried after a number that is too low or too high."""
    after = {"": "4", "4l": "1", "1l": "0", "1h": "2", "2h": "3", "4h": "7", "7l": "5", "5h": "6", "7h": "8", "8h": "9"}
    told = {"l": view.read("//*[@id='lower'][not(contains(@class, 'hide'))]/span"),
            "h": view.read("//*[@id='higher'][not(contains(@class, 'hide'))]/span")}  # fmt: skip
    last = next((f"{number[0]}{way}" for way, number in told.items() if number), "")
    return [click("//*[@id='tt']"), press("command+a"), write(after[last]), BUTTON]


@does("search-engine")
def search(view: View) -> Moves:
    wanted, nth = view.quoted[0], int(view.between("click the ", " search result")[:-2]) - 1
    page = [click(f"//*[@id='pagination']//a[text()='{nth // 3 + 1}']")] if nth >= 3 else []
    result = click(f"(//a[@class='search-title'])[{nth % 3 + 1}]")
    return [*fill("//*[@id='search-text']", wanted), click("//*[@id='search']"), *page, result]


@does("find-word")
def word(view: View) -> Moves:
    nth = int(re.findall(r"\d+", view.goal)[0]) - 1
    return [*fill("//*[@id='answer-input']", re.sub(r"\W", "", view.read("//p")[0].split()[nth])), BUTTON]


@does("read-table")
def cell(view: View) -> Moves:
    key = view.between("value of ", " into")
    value = view.read(f"//td[text()={said(key)}]/following-sibling::td")[0]
    return [*fill("//*[@id='tt']", value), BUTTON]


@does("text-transform")
def letters(view: View) -> Moves:
    return [*fill("//*[@id='tt']", "".join(view.read("//*[@id='captcha']/span"))), BUTTON]


@does("simple-arithmetic")
def arithmetic(view: View) -> Moves:
    one, sign, other = view.read("//*[@id='math-problem']")[0].split()[:3]
    answer = {"+": int(one) + int(other), "-": int(one) - int(other), "x": int(one) * int(other)}[sign]
    return [*fill("//*[@id='math-answer']", str(answer)), BUTTON]


@does("simple-algebra")
def algebra(view: View) -> Moves:
    one, sign, other, _, value = view.read("//*[@id='math-problem']")[0].split()
    if sign == "+":
        answer = int(value) - int(other if one == "x" else one)
    else:
        answer = int(value) + int(other) if one == "x" else int(one) - int(value)
    return [*fill("//*[@id='math-answer']", str(answer)), BUTTON]


@does("multi-layouts", "multi-orderings")
def film(view: View) -> Moves:
    genre, name, year = re.findall(r"for (.*) movies directed by (.*) from year (\d+)", view.goal)[0]
    row = "//*[*[{}]]//input"
    rows = ("contains(text(), 'Genre')", "contains(text(), 'Director')",
            "contains(text(), 'Year') or contains(text(), 'Date')")  # fmt: skip
    written = [move for label, words in zip(rows, (genre, name, year), strict=True)
               for move in fill(row.format(label), words)]  # fmt: skip
    return [*written, click("//*[@id='area']//*[text()='Submit' or text()='Search' or text()='Go!']")]


@does("copy-paste", "copy-paste-2")
def copied(view: View) -> Moves:
    nth = re.findall(r"(\d)\w\w text area", view.goal)
    source = f"(//textarea)[{nth[0]}]" if nth else "//textarea"
    return [click(source), press("command+a"), press("command+c"), click("//*[@id='answer-input']"),
            press("command+v"), BUTTON]  # fmt: skip


@does("email-inbox", "email-inbox-noscroll", "email-inbox-delete", "email-inbox-important", "email-inbox-reply",
      "email-inbox-forward", "email-inbox-star-reply", "email-inbox-forward-nl", "email-inbox-forward-nl-turk",
      "email-inbox-nl-turk")  # fmt: skip
def mail(view: View) -> Moves:
    kind, sender, words = _asked(view)
    thread = f"//div[@class='email-thread'][.//div[text()={said(sender)}]]"
    if kind in ("trash", "star"):
        return [click(f"({thread})[1]//span[@class='{kind}']")]
    field = "//*[@id='reply-text']" if kind == "reply" else "//input[@class='forward-sender']"
    opened = [click(f"({thread})[1]"), click(f"//span[@class='email-{kind}']")]
    return [*opened, *fill(field, words), click(f"//*[@id='send-{kind}']")]


def _asked(view: View) -> tuple[str, str, str]:
    """What to do, whose mail with, and in which words or to whom."""
    given = view.fields
    if "by" in given:
        kind = {"delete": "trash"}.get(given.get("task", "forward"), given.get("task", "forward"))
        return kind, given["by"], given.get("message") or given.get("to", "")
    sender = view.between("email by ", " and ").split(" and ")[0]
    if "reply to them" in view.goal:
        return "reply", sender, view.quoted[0]
    if " forward that email to " in view.goal:
        return "forward", sender, view.between("forward that email to ", ".")
    return ("trash" if "trash" in view.goal else "star"), sender, ""
