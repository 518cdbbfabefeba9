"""Dependencies: found, tested, judged."""
