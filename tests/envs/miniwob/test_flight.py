"""Flight tasks: pages in a frame, from a server that nobody else can use."""

import json
import re
import threading
import urllib.error
import urllib.request
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from agentlab_runner.envs.browser.settings import BrowserSettings
from agentlab_runner.envs.miniwob import catalog, flight
from agentlab_runner.envs.miniwob.stage import Missing, Stage
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError

FILL = """(wrong) => {
  const request = core.currentQuestion.request, form = core.flightChildWindow().document.forms[0];
  for (const [name, value] of Object.entries(request)) {
    const fields = [...form.elements].filter((one) => one.name === name);
    for (const one of fields)
      if (one.type === 'radio' || one.type === 'checkbox') one.checked = one.value === value;
      else one.value = wrong && name === wrong ? 'elsewhere' : value;
  }
  return Object.keys(request).length }"""


FETCH = "(url) => fetch(url, {mode: 'no-cors'}).then(() => 'there', () => 'nothing')"


def ref(observation, **own):
    return next(e["ref"] for e in json.loads(observation["elements"])
                if e["visible"] and all(e[key] == value for key, value in own.items()))  # fmt: skip


def test_they_are_played_by_name_and_by_themselves(make):
    assert catalog.chosen(["flight.*"]) == catalog.FLIGHT
    assert not set(catalog.FLIGHT) & set(catalog.chosen(["all"]))
    with pytest.raises(ValueError, match=re.escape("played by themselves: env.tasks=[flight.*]")):
        catalog.chosen(["click-test", "flight.AA"])
    with pytest.raises(ValueError, match=r"did you mean flight\.Alaska"):
        catalog.chosen(["flight.alaska"])
    with pytest.raises(UserError, match="only a browser of this run may reach"):
        compose(["env=miniwob", "env.tasks=[flight.AA]", "env/browser=endpoint"])
    with pytest.raises(Missing, match="choose env/browser=chromium"):
        Stage(BrowserSettings(kind="endpoint", url="http://127.0.0.1:9"), flights=True)


def test_a_form_is_filled_in_and_paid_as_the_page_says(make):
    env = make("flight.Alaska-auto", action="utterances", horizon=4, image=True)
    for wrong, paid in ((None, 1.0), ("SearchFields.DepartureCity", None)):
        observation, info = env.reset(seed=3)
        assert json.loads(info["goal"]) == env.seen["fields"]
        assert observation["image"].shape == (667, 375, 3)
        assert env.observation_space.contains(observation)
        count = env.stage.page.evaluate(FILL, wrong)
        _, reward, terminated, _, info = env.step(f"click {ref(observation, value='Find Flights')}")
        assert terminated, info
        assert info["raw"] == pytest.approx(paid or (count - 1) / count)
        assert reward == (1.0 if paid else 0.0)
        assert info["program"].startswith("agent.click_xpath(")


def test_a_field_is_typed_into_and_a_program_does_it_again(make):
    env = make("flight.Alaska", action="utterances", horizon=9)
    observation, info = env.reset(seed=0)
    city = json.loads(info["goal"])["Departure City"]
    observation, *_, told = env.step(f'type {ref(observation, label="From")} "{city}"')
    assert (told["outcomes"][0]["fault"], told["stop"]) == ("", None)
    assert city in [one["value"] for one in json.loads(observation["elements"])]
    again, _ = env.reset(options=info["restart"])
    assert again["goal"] == observation["goal"]
    assert city not in [one["value"] for one in json.loads(again["elements"])]


def test_who_goes_elsewhere_has_failed_and_sees_nothing_of_it(make):
    env = make("flight.Alaska", action="utterances", horizon=9)
    for away in ("original.html", "http://127.0.0.1:9/", "http://example.com/"):
        env.reset(seed=0)
        env.stage.page.evaluate("(away) => { document.getElementById('wrap').src = away }", away)
        for _ in range(9):
            observation, reward, terminated, truncated, info = env.step("press escape")
            if terminated or truncated:
                break
        assert (reward, info["stop"]) == (0.0, "failure"), (away, info)
        assert observation["elements"] == "[]"


def test_nothing_but_its_own_folder_is_reached(make):
    asked = []

    class Other(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        log_message = lambda *_: None  # noqa: E731

    other = HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    env = make("flight.AA", action="utterances")
    env.reset(seed=0)
    for host in ("127.0.0.1", "localhost", "miniwob.test", "[::1]"):
        url = f"http://{host}:{other.server_address[1]}/there"
        said = env.stage.page.evaluate(FETCH, url)
        assert (said, asked) == ("nothing" if host != "miniwob.test" else said, []), host
    other.shutdown()
    other.server_close()


def test_the_server_gives_files_of_its_folder_to_who_knows_it(tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a b.html").write_text("page")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "pages" / "link").symlink_to(tmp_path / "secret")
    server = flight.take(tmp_path / "pages")
    assert flight.take(tmp_path / "pages") is server
    token, base = server.url.rsplit("/", 1)[1], f"http://127.0.0.1:{server.port}"
    assert urllib.request.urlopen(f"{base}/{token}/a%20b.html?x#y").read() == b"page"
    for path in ("/", f"/{token}", f"/{token}/", "/a%20b.html", "/guess/a%20b.html", f"/{token}/../secret",
                 f"/{token}/..%2fsecret", f"/{token}/link", f"/{token}/%00", f"/{token}//etc/passwd", "//",
                 "/%"):  # fmt: skip
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(base + path)
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(urllib.request.Request(f"{base}/{token}/a%20b.html", data=b"x", method="POST"))
    flight.give()
    assert urllib.request.urlopen(f"{base}/{token}/a%20b.html").status == 200
    flight.give()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{base}/{token}/a%20b.html")
    assert "flight pages" not in [thread.name for thread in threading.enumerate()]
