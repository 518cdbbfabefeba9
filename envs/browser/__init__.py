"""A real Chromium, driven over its DevTools protocol from any thread; for environments that show web pages."""
