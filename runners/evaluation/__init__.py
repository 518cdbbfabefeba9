"""Agents played as they stand, task by task and seed by seed, in a run that can be gone on with."""
