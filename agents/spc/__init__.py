"""Teachers that choose what a student practises: bandits, learning progress, mastery, self-paced and staged ones."""
