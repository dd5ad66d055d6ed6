"""Runs tasks on a Ray cluster: `recurra compare ... --runner ray`. Nothing here is imported before it is asked for."""
