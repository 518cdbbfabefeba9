"""A small transformer that points at one of the phrases an observation lists."""
