"""Shared ground of agents that act as a team: networks for any number of agents, PPO, a two-level policy."""
