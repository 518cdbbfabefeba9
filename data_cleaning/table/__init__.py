"""Tables: read, encoded, written."""
