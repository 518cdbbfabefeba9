"""Benchmarks of data cleaning."""
