"""How fast recurra trains and loads, against the loops that a user would write. Run it: `make bench`."""

__all__: list[str] = []
