"""Running jobs: their order, processes, leases held, progress, trackers.

What a job computes lies in ``jobs``.
"""
