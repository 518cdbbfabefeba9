"""Agent algorithms, one folder a method."""
