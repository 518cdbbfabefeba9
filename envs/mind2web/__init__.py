"""Mind2Web: recorded tasks on web pages, a step at a time, offline."""
