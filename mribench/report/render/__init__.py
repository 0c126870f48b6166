"""How tables look: terminal, Markdown, LaTeX, the HTML page, tidy rows. What they show is in ``tables``."""
