"""Figures of what a network is shown: views, and the distributions that their parameters are drawn from.

``sources`` finds what the methods of a benchmark file share; ``job_views`` and ``samples`` make views as a
pretrain job does; ``captions``, ``parameters`` and ``histograms`` turn them into text and numbers; ``sheet``
and ``distributions`` draw; ``canvas`` writes the file. Only the last three need matplotlib.
"""
