"""The JAX backend of recurra. Start at `plugin`; nothing here imports JAX before it is needed."""

__all__: list[str] = []
