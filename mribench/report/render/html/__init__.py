"""A page of tables and figures as one HTML file. What it shows is handed in."""

from mribench.report.render.html.page import PageContent, PageSection, Picture, render_page

__all__ = ["PageContent", "PageSection", "Picture", "render_page"]
