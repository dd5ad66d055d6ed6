"""Recurra's Prefect flow, its worker processes and its command line."""
