"""The command line: one module for each verb."""

from recurra_flows.cli.command import main

__all__ = ["main"]
