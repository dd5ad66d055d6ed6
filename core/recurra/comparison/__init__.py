"""The comparison: the same experiment with several networks on several backends, and how they differ."""
