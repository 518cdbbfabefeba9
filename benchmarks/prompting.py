"""What prompting costs beside its model: waiting in lockstep, answers kept, a preface read once, the work of a turn."""

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.utils import instantiate

from agentlab_runner.agents.direct.agent import DirectAgent
from agentlab_runner.agents.llm.chat.endpoint import Endpoint
from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.local import LocalChat
from agentlab_runner.agents.llm.chat.types import ChatModel, Conversation, Message, Reply
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.launch import build
from agentlab_runner.runners.online.rollout import episode_seeds, play
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.types import Start, Trajectory
from benchmarks.figures import Figure, Stopwatch, spread
from benchmarks.setting import environments

EPISODES, HORIZON = 8, 6
SLOW, QUICKER = 0.2, 0.05
"""Seconds that the endpoint takes for an answer."""
PREFACE = 400
"""Tokens that conversations share, at least."""
WRITTEN = "env.commands=useful"
"""The model writes its command."""
SAID = '{"action": "look"}'
EARLY, LATE = 200, 2000
"""Episodes after which resident memory is read."""


def measure(quick: bool = False) -> list[Figure]:
    """Ratios of seconds, both sides in one run; CPU time of a turn; growth of resident memory."""
    rounds = 1 if quick else 3
    return [_lockstep(rounds), *_kept(rounds), *_preface(rounds), _own_share(quick), _growth(quick)]


class Instant:
    """A chat model that always says the same, at once."""

    name, sees = "instant", False

    def reply(self, conversations: Sequence[Conversation], **_: Any) -> list[Reply]:
        return [Reply(SAID, 300, 8, 0.0, 0.0, "stop", model=self.name) for _ in conversations]


class Watched(DirectAgent):
    """Notes resident memory in the run's folder after `EARLY` and `LATE` episodes."""

    ended = 0

    def prepare(self, folder: Path, report: Any) -> Any:
        self.notes = folder / "resident.json"
        return super().prepare(folder, report)

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        super().end(trajectories)
        for _ in trajectories:
            self.ended += 1
            if self.ended in (EARLY, LATE):
                known = json.loads(self.notes.read_text()) if self.notes.exists() else {}
                known[str(self.ended)] = _resident()
                self.notes.write_text(json.dumps(known))


def _lockstep(rounds: int) -> Figure:
    """Turns a second of as many episodes at once as there are environments, and of one after the other."""
    seconds: dict[str, list[float]] = {"together": [], "one by one": []}
    with _endpoint(SLOW) as (model, _):
        for number in range(rounds):
            for name, count in (("together", EPISODES), ("one by one", 1)):
                seconds[name].append(_play(model, count, number)[1])
    together, alone = spread(seconds["together"]), spread(seconds["one by one"])
    title = f"turns/s of {EPISODES} episodes in lockstep / one by one, {SLOW} s an answer"
    details = {"turns": EPISODES * HORIZON, "together_seconds": together, "one_by_one_seconds": alone}
    return Figure(
        figure=title, measured=alone["median"] / together["median"], unit="x", bar=">= 6", details=details
    )


def _kept(rounds: int) -> list[Figure]:
    """A run against an endpoint, and the same run from the answers that it kept."""
    first: list[float] = []
    again: list[float] = []
    requests, same, expected = 0, True, None
    for number in range(rounds):
        with TemporaryDirectory() as folder, _endpoint(QUICKER) as (model, asked):
            for seconds in (first, again):
                before = asked()
                kept = Kept(model, Path(folder) / "calls", ledger=False)
                records, taken = _play(kept, EPISODES, number)
                seconds.append(taken)
                kept.close()
                if seconds is first:
                    expected = records
            requests += asked() - before
            same = same and records == expected
    one, other = spread(first), spread(again)
    details = {"first_seconds": one, "again_seconds": other, "same_records": same}
    return [
        Figure(figure=f"first run / its rerun from the cache, {QUICKER} s an answer",
               measured=one["median"] / other["median"], unit="x", bar=">= 5", details=details),
        Figure(figure="requests of the rerun", measured=requests if same else float("inf"), unit="requests",
               bar="<= 0", details=details),
    ]  # fmt: skip


def _preface(rounds: int) -> list[Figure]:
    """SmolLM2 answers conversations with one preface: together, against each prompt in full by itself."""
    settings: Any = compose(["+exp=direct_alfworld", "logger=none"]).model
    model: LocalChat = instantiate(settings)
    preface = "The household has a kitchen, a bedroom and a bath; every cabinet in them has a number. "
    while len(model.policy.tokenizer.encode(preface)) < PREFACE:
        preface += preface
    talks = [
        [Message("system", (preface,)), Message("user", (f"Where would you look for cup number {number}?",))]
        for number in range(EPISODES)
    ]
    seconds: dict[str, list[float]] = {"together": [], "in full": []}
    differing = 0
    for _ in range(rounds):
        said = {}
        for name, batches in (("together", [talks]), ("in full", [[talk] for talk in talks])):
            watch, texts = Stopwatch(), []
            for batch in batches:
                if model.speaker.tree is not None:
                    model.speaker.tree.clear()
                texts += [one.text for one in model.reply(batch, max_tokens=24, deterministic=True)]
            seconds[name].append(watch.read()[1])
            said[name] = texts
        differing += sum(one != other for one, other in zip(*said.values(), strict=True))
    together, full = spread(seconds["together"]), spread(seconds["in full"])
    title = f"CPU of {EPISODES} prompts in full / together, {PREFACE} tokens shared, SmolLM2"
    details = {"together_cpu_seconds": together, "in_full_cpu_seconds": full}
    return [
        Figure(figure=title, measured=full["median"] / together["median"], unit="x", bar=">= 2.5", details=details),
        Figure(figure="answers that differ for it", measured=differing, unit="texts", bar="<= 0", details={}),
    ]


def _own_share(quick: bool) -> Figure:
    """CPU of a turn without model and environment, prompts, parsing and the file of answers included."""
    envs = environments(("env.horizon=40", WRITTEN), EPISODES, "direct_alfworld")
    alone = _Worked(envs)
    with TemporaryDirectory() as folder:
        kept = Kept(Instant(), Path(folder) / "calls", ledger=False)
        agent = _agent(kept)
        watch = Stopwatch()
        starts = _starts(EPISODES if quick else 8 * EPISODES, 0)
        turns = sum(len(episode.steps) for _, episode in play(agent, alone.envs, starts, deterministic=True))
        spent = watch.read()[1] - alone.cpu
        kept.close()
    title = "CPU of a turn without model and environment"
    details = {"turns": turns, "environments_ms": 1000 * alone.cpu / turns}
    return Figure(figure=title, measured=1000 * spent / turns, unit="ms", bar="<= 3", details=details)


def _growth(quick: bool) -> Figure:
    """Resident memory of an evaluation, in a process of its own."""
    late = EARLY + EPISODES if quick else LATE
    with TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
        known = pool.apply(_evaluate, (folder, late))
    title = f"resident memory after {late} episodes / after {EARLY}"
    return Figure(figure=title, measured=known[str(late)] / known[str(EARLY)], unit="x", bar="<= 1.2", details=known)


def _evaluate(folder: str, late: int) -> dict[str, int]:
    global LATE
    LATE = late
    cfg = compose([
        "+exp=direct_alfworld", "logger=none", f"eval.episodes={late}", f"env.horizon={HORIZON}", WRITTEN,
        "eval.record=0",
    ])  # fmt: skip
    cfg.agent = {"_target_": "benchmarks.prompting.Watched"}
    cfg.model = {"_target_": "benchmarks.prompting.Instant"}
    with Run.create(cfg, Path(folder), ["benchmarks"]) as run:
        build(cfg).train(run)
        known: dict[str, int] = json.loads((run.path / "resident.json").read_text())
    return known


def _resident() -> int:
    """Bytes of this process in memory, as Linux tells them."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


class _Worked:
    """Environments whose CPU time is counted apart."""

    def __init__(self, envs: Sequence[Any]) -> None:
        self.cpu = 0.0
        self.envs = envs
        for env in envs:
            env.reset, env.step = self._timed(env.reset), self._timed(env.step)

    def _timed(self, function: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return function(*args, **named)
            finally:
                self.cpu += time.process_time() - began

        return call


def _play(model: ChatModel, count: int, seed: int) -> tuple[list[Any], float]:
    """What was played and said by eight episodes over so many environments, in the order of numbers, and seconds."""
    envs, agent = environments((f"env.horizon={HORIZON}", WRITTEN), count, "direct_alfworld"), _agent(model)
    began = time.perf_counter()
    ended = dict(play(agent, envs, _starts(EPISODES, seed), deterministic=True))
    taken = time.perf_counter() - began
    records = [
        [(step.observation["text"], step.decision.action, [call["reply"] for call in step.decision.extras["calls"]])
         for step in ended[number].steps]
        for number in sorted(ended)
    ]  # fmt: skip
    return records, taken


def _agent(model: ChatModel) -> DirectAgent:
    cfg = compose(["+exp=direct_alfworld", "logger=none"])
    return DirectAgent(model, instantiate(cfg.env.parser))


def _starts(count: int, seed: int) -> list[Start]:
    return [Start(number, one, {"episode": number}) for number, one in enumerate(episode_seeds(seed, count=count))]


@contextmanager
def _endpoint(seconds: float) -> Iterator[tuple[Endpoint, Any]]:
    """A model on loopback that takes so long for an answer, and the number of its answers so far."""
    answers = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send({"data": [{"id": "small"}]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(seconds)
            answers.append(1)
            choice = {"message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}
            self._send({"model": "small", "choices": [choice], "usage": {"prompt_tokens": 300, "completion_tokens": 8}})

        def _send(self, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Endpoint(name="small", base_url=f"http://127.0.0.1:{server.server_port}/v1"), lambda: len(answers)
    finally:
        server.shutdown()
        server.server_close()
