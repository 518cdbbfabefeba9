"""Models that are talked to: one protocol, behind it an endpoint, a local model, or what was recorded of either."""
