"""Figures of what a network is shown, and of the distributions that its parameters are drawn from.

Figures of results lie in ``report``.

``sources`` finds what the methods of a benchmark file share; ``samples`` makes views as a pretrain job does;
``captions``, ``parameters`` and ``histograms`` turn them into text and numbers; ``sheet`` and
``distributions`` draw; ``canvas`` writes the file. Only the last three need matplotlib.
"""
