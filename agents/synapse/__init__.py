"""Synapse (arXiv 2306.07863): trajectories of solved tasks as exemplars, found by what the present task looks like."""
