"""Champions: the network in use, what a new one must do to take its place, and how far the data have moved since."""
