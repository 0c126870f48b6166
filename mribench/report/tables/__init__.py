"""What each table shows: rows, columns, cells and captions of a run.

How they look lies in ``render``.
"""
