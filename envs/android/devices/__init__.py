"""The phones one can operate: simulated, behind adb, in DeepMind's android_env; and a server that shows one to adb."""
