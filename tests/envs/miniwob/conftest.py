"""Environments on real pages."""

import pytest

from agentlab_runner.envs.miniwob.env import MiniwobEnv


@pytest.fixture
def make():
    made = []

    def make(*tasks, **settings):
        made.append(MiniwobEnv(tasks=tasks, **{"browser": {"patience": 20.0}, **settings}))
        return made[-1]

    yield make
    for env in made:
        env.close()
