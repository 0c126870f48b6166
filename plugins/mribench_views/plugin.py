"""The entries of this plugin."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_views import canonical, defects, generators, labelled, options, paired, sequences
from mribench_views.sequence_base import SequenceOptions


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the MRI sequences and the view generators."""
    plain, views = SequenceOptions, options.SequenceViewOptions
    common, shown = defects.SEQUENCE_DEFECTS, defects.VIEW_DEFECTS
    window = (*shown, defects.OTHER_WINDOW)
    return [
        Entry("sequence", "fse", sequences.FastSpinEcho, plain, "fast spin echo: PDw, T2w", common),
        Entry(
            "sequence", "gre", sequences.GradientEcho, plain, "spoiled gradient echo with MT",
            (*common, defects.GRE_WITHOUT_MT),
        ),
        Entry("sequence", "spgr", sequences.SpoiledGradientEcho, plain, "the same equation as gre", common),
        Entry(
            "sequence", "flair", sequences.Flair, plain, "fluid-attenuated inversion recovery",
            (*common, defects.SIGNED_FLAIR),
        ),
        Entry("sequence", "mprage", sequences.Mprage, sequences.MprageOptions, "MPRAGE: T1w", common),
        Entry(
            "sequence", "mp2rage", sequences.Mp2rage, plain, "MP2RAGE's combined image",
            (*common, defects.MP2RAGE_MAGNITUDE),
        ),
        Entry(
            "views", "augment", generators.RealViews, options.AugmentedViewOptions,
            "views of real scans, of any sequence that a subject has", (defects.RADIAN_ROTATION,),
        ),
        Entry(
            "views", "seqinv-real", paired.PairedRealViews, options.AugmentedViewOptions,
            "two real sequences of one session, one in each view", (defects.RADIAN_ROTATION,),
        ),
        Entry(
            "views", "labelled", labelled.LabelledViews, options.LabelledViewOptions,
            "views of real scans, with the class of each voxel", (defects.RADIAN_ROTATION,),
        ),
        Entry(
            "views", "synthseg", labelled.SynthsegViews, options.SynthsegViewOptions,
            "images of random contrast made from a label, with the class of each voxel",
            (defects.RADIAN_ROTATION,),
        ),
        Entry(
            "views", "mprage", generators.MprageViews, options.MprageViewOptions, "MPRAGE in every view",
            (*shown, defects.FIXED_MPRAGE_DRAW),
        ),
        Entry(
            "views", "seqaug", generators.SeqAugViews, views, "one simulated sequence for all views", window
        ),
        Entry(
            "views", "seqinv", generators.SeqInvViews, views, "another sequence family in each view",
            (*window, defects.REPEATED_SEQUENCE),
        ),
        Entry(
            "views", "canonical", canonical.CanonicalViews, views,
            "any simulated sequence, and one fixed MPRAGE as its target", shown,
        ),
    ]  # fmt: skip
