"""The run folder: what it holds, and the only code that writes it."""
