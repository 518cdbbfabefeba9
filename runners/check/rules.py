"""The rules in the order in which they are asked and shown."""

from collections.abc import Sequence

from agentlab_runner.runners.check import chance, decisions, episodes, language, learning, seeds
from agentlab_runner.runners.check.agents import Agents
from agentlab_runner.runners.check.finding import Rule
from agentlab_runner.runners.check.subject import Environment

ENVIRONMENT: Sequence[Rule[Environment]] = (
    Rule("answers", episodes.answers),
    Rule("task and goal", episodes.task_and_goal),
    Rule("spaces", episodes.spaces),
    Rule("seeds decide", seeds.decide),
    Rule("another worker", seeds.another_worker),
    Rule("another process", seeds.another_process),
    Rule("seeds differ", seeds.differ),
    Rule("ends", episodes.ends),
    Rule("success", episodes.success),
    Rule("observations stay", episodes.unchanged),
    Rule("recorded", episodes.recorded),
    Rule("task by name", episodes.by_name),
    Rule("phrases", language.phrases),
    Rule("same view", language.same_view),
    Rule("vector", language.vectors),
    Rule("parser: api", language.api),
    Rule("parser: written", language.round_trip),
    Rule("parser: anything", language.garbage),
    Rule("doing nothing", chance.idle),
    Rule("at random", chance.random),
    Rule("nothing left", episodes.nothing_left),
)
AGENT: Sequence[Rule[Agents]] = (
    Rule("runs", learning.runs),
    Rule("kill and resume", learning.resumed),
    Rule("deterministic", decisions.deterministic),
    Rule("sampled", decisions.sampled),
    Rule("batch", decisions.batch),
    Rule("observations alone", decisions.alone),
    Rule("state", learning.state),
)
