"""The report of a sweep: the best settings, how they were found, and which of them matter."""

from recurra.report.sweep.dashboard import summary_markdown, trials_table
from recurra.report.sweep.page import render

__all__ = ["render", "summary_markdown", "trials_table"]
