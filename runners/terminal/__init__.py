"""What a user sees in the terminal, and the statistics shown there."""
