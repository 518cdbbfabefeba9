"""Ontologies: concepts and their names, loaded and bound to columns."""
