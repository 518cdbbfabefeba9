"""States of mpe2 in rows of ours."""

import numpy as np
import torch


def put(env, world, row=0):
    """Put the discs of one of mpe2's worlds where they are there."""
    still = len(world.landmarks)
    places = np.array([disc.state.p_pos for disc in (*world.landmarks, *world.agents)])
    env.world.numbers[: len(places), :, row] = torch.tensor(places, dtype=env.dtype)
    env.world.velocity[:, :, row] = torch.tensor(np.array([disc.state.p_vel for disc in world.agents]), dtype=env.dtype)
    assert env.world.still == still
    env.world.look()
    env._view = None


def placed(env, row, marks, movers):
    """Put the discs of a row where a test wants them; those left out stay."""
    for first, points in ((0, marks), (env.world.still, movers)):
        for number, point in enumerate(points):
            env.world.numbers[first + number, :, row] = torch.tensor(point, dtype=env.dtype)
    env.world.look()
    env._view = None
