"""The report as one HTML file: its template, style and script, and what is filled in.

Tables and figures are made elsewhere and handed in.
"""

from mribench.report.render.html.page import PageContent, PageSection, Picture, render_page

__all__ = ["PageContent", "PageSection", "Picture", "render_page"]
