"""How tables look: terminal, Markdown, LaTeX, the HTML page, tidy rows.

What they show lies in ``tables``.
"""
