"""The report of a GAN: what its samples look like beside real ones, and what they are worth."""

from recurra.report.generator.dashboard import metrics_table, summary_markdown
from recurra.report.generator.page import content

__all__ = ["content", "metrics_table", "summary_markdown"]
