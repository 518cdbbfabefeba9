"""A model's files: found, read, changed for training, and what goes before them."""
