"""What the simulated phone is made of: its state, its apps, its screens, its shell."""
