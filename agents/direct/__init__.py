"""A chat model in front of an environment, and nothing between them but words."""
