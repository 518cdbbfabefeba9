"""Language-model policies: load, adapt, generate, score, imitate."""
