"""Files of a run: written whole or not at all, read within bounds and without running what they hold."""
