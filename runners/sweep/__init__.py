"""Many runs from one command, and runs side by side."""
