"""From overrides to one checked config."""
