"""The report of a comparison: which network on which backend is best, how sure that is, and what it cost."""

from recurra.report.comparison.dashboard import accuracy_table, summary_markdown
from recurra.report.comparison.page import render

__all__ = ["accuracy_table", "render", "summary_markdown"]
