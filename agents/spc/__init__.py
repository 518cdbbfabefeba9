"""SPC, a curriculum for teams (arXiv 2302.03429): teachers that choose what is practised next."""
