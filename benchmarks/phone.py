"""Steps a second of the simulated phone with screenshots, driven by a scripted user through the environment."""

import time

from agentlab_runner.envs.android.scripted_user import ScriptedUser
from benchmarks.figures import Figure
from benchmarks.setting import environments

WARM_UP, EPISODES = 20, 300


def measure(quick: bool = False) -> list[Figure]:
    """CPU seconds of `reset` and `step` (the user's own thinking is left out), over every template of every level.

    One process and one thread; the first episodes fill the caches of glyphs and widgets and do not count.
    """
    (env,) = environments(["env.task_set=all", "env.templates=[]", "env.horizon=null"], count=1)
    user = ScriptedUser(wander=0.05)
    steps, spent = 0, 0.0
    for episode in range(WARM_UP + (20 if quick else EPISODES)):
        if episode == WARM_UP:
            steps, spent = 0, 0.0
        began = time.process_time()
        observation, _ = env.reset(seed=episode, options={"episode": episode})
        spent += time.process_time() - began
        user.begin(env, episode)
        over = False
        while not over:
            said = user.decide(env)
            began = time.process_time()
            _, _, terminated, truncated, _ = env.step(said)
            spent += time.process_time() - began
            over = terminated or truncated
            steps += 1
    details = {"steps": steps, "cpu_seconds": spent, "screenshot": list(observation["image"].shape)}
    return [
        {
            "figure": "steps with a screenshot each, a core",
            "measured": steps / spent,
            "unit": "steps/s",
            "bar": ">= 300",
            "details": details,
        }
    ]
