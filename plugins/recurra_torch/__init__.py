"""The PyTorch backend of recurra. Found by its entry point (`plugin.py`); nothing here is imported by name."""
