"""Multi-agent particle environments, batched: Spread, Push-Ball, Tag."""
