"""Speed as ratios measured in one run, each beside a peer or a naive form."""
