"""The TensorFlow backend of recurra. Start at `plugin`; nothing here imports TensorFlow before it is needed."""

__all__: list[str] = []
