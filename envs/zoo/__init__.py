"""Any PettingZoo parallel environment that is installed, by its name."""
