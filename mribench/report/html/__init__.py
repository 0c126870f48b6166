"""The report as one HTML file."""

from mribench.report.html.page import page

__all__ = ["page"]
