"""Programs in a model's answer: read as Python is written, in a part of it that can only compute."""
