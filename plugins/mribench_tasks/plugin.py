"""What this package registers."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_tasks.any_segmentation import AnySegmentation, SegmentationOptions
from mribench_tasks.denoising import UNIT_PEAK, Denoising, DenoisingOptions
from mribench_tasks.image_targets import (
    SuperResolution,
    SuperResolutionOptions,
    Synthesis,
    SynthesisOptions,
)
from mribench_tasks.metrics import ENTRIES
from mribench_tasks.people import (
    Classification,
    ClassificationOptions,
    Regression,
    RegressionOptions,
)
from mribench_tasks.probes import ENTRIES as PROBES
from mribench_tasks.segmentation import LesionOptions, LesionSegmentation, TissueOptions, TissueSegmentation


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the first-party tasks, probes and metrics."""
    return [
        Entry(
            "task",
            "segmentation",
            AnySegmentation,
            SegmentationOptions,
            "any label, its classes named in the file, Dice + cross-entropy",
        ),
        Entry(
            "task",
            "tissue-segmentation",
            TissueSegmentation,
            TissueOptions,
            "grey matter, white matter and CSF, Dice + cross-entropy",
        ),
        Entry(
            "task",
            "lesion-segmentation",
            LesionSegmentation,
            LesionOptions,
            "stroke lesions, most crops on the lesion, Dice + cross-entropy",
        ),
        Entry(
            "task",
            "denoising",
            Denoising,
            DenoisingOptions,
            "Gaussian noise predicted and subtracted, mean squared error",
            (UNIT_PEAK,),
        ),
        Entry(
            "task",
            "synthesis",
            Synthesis,
            SynthesisOptions,
            "the image of another sequence of the session, mean squared error",
        ),
        Entry(
            "task",
            "super-resolution",
            SuperResolution,
            SuperResolutionOptions,
            "the image itself from one that is coarse along an axis, mean squared error",
        ),
        Entry(
            "task",
            "regression",
            Regression,
            RegressionOptions,
            "a number that is known of each person, by a probe or a trained head",
        ),
        Entry(
            "task",
            "classification",
            Classification,
            ClassificationOptions,
            "a class that is known of each person, by a probe or a trained head",
        ),
        *PROBES,
        *ENTRIES,
    ]
