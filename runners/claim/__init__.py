"""Published comparisons as commands with a verdict."""
