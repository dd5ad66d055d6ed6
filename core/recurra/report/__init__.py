"""The report of an experiment: one HTML page that needs nothing but a browser, and the parts that dashboards show."""

from recurra.report.dashboard import metrics_table, summary_markdown
from recurra.report.page import Section, render

__all__ = ["Section", "metrics_table", "render", "summary_markdown"]
