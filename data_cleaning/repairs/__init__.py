"""Repairs: senses, candidates, and the choice between changing cells and adding labels."""
