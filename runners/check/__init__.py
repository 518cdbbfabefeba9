"""Whether an environment, or an agent, is one that results can be believed on."""
