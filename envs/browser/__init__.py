"""A real Chromium, driven over its DevTools protocol from any thread; the ground of environments that show web pages."""
