"""Cohorts: what their files hold, whether they can be used, the prepared copies that jobs read.

Files and grids lie in ``volumes``, what a scan is in ``interfaces``.
"""
