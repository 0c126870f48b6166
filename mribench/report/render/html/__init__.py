"""The report as one HTML file."""

from mribench.report.render.html.page import page

__all__ = ["page"]
