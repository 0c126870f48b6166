"""The entries of this plugin."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_views import generators, options, sequences
from mribench_views.sequence_base import SequenceOptions


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the MRI sequences and the view generators."""
    plain, views = SequenceOptions, options.SequenceViewOptions
    return [
        Entry("sequence", "fse", sequences.FastSpinEcho, plain, "fast spin echo: PDw, T2w"),
        Entry("sequence", "gre", sequences.GradientEcho, plain, "spoiled gradient echo with MT"),
        Entry("sequence", "spgr", sequences.SpoiledGradientEcho, plain, "the same equation as gre"),
        Entry("sequence", "flair", sequences.Flair, plain, "fluid-attenuated inversion recovery"),
        Entry("sequence", "mprage", sequences.Mprage, sequences.MprageOptions, "MPRAGE: T1w"),
        Entry("sequence", "mp2rage", sequences.Mp2rage, plain, "MP2RAGE's combined image"),
        Entry("views", "mprage", generators.MprageViews, options.MprageViewOptions, "MPRAGE in every view"),
        Entry("views", "seqaug", generators.SeqAugViews, views, "one simulated sequence for all views"),
        Entry("views", "seqinv", generators.SeqInvViews, views, "another sequence family in each view"),
    ]
