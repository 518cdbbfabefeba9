"""The runner: one config in, one run folder out."""
