"""Phones outside this process: adb, DeepMind's android_env, and a server that shows a simulated phone to adb."""
