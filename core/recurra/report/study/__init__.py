"""The report of a study: whether generated samples help, how sure that is, and what it rests on."""

from recurra.report.study.dashboard import accuracy_table, summary_markdown
from recurra.report.study.page import render

__all__ = ["accuracy_table", "render", "summary_markdown"]
