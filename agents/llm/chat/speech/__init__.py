"""How a local model reads a conversation and says its turn."""
