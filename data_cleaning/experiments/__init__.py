"""Experiments whose truth is known, and what they measure."""
