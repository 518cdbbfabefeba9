"""Speed of web pages: one task, one episode, and what drives the browser."""
