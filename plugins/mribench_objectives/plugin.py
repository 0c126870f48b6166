"""What this package registers."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_objectives.byol import Byol, ByolOptions
from mribench_objectives.dino import Dino, DinoOptions
from mribench_objectives.image_to_image import ImageToImage, ImageToImageOptions
from mribench_objectives.mae import Mae, MaeOptions
from mribench_objectives.moco import Moco, MocoOptions
from mribench_objectives.simclr import Simclr, SimclrOptions
from mribench_objectives.simclr_recon import SUMMED_RECONSTRUCTION, SimclrRecon, SimclrReconOptions
from mribench_objectives.supervised_segmentation import SupervisedSegmentation, SupervisedSegmentationOptions


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the first-party objectives."""
    return [
        Entry(
            "objective",
            "simclr-recon",
            SimclrRecon,
            SimclrReconOptions,
            "the seed paper's: NT-Xent between two views, and L1 reconstruction of the clean ones",
            (SUMMED_RECONSTRUCTION,),
        ),
        Entry(
            "objective",
            "image-to-image",
            ImageToImage,
            ImageToImageOptions,
            "L1 of a decoder on all maps to the view's target; hands the decoder over",
        ),
        Entry(
            "objective",
            "supervised-segmentation",
            SupervisedSegmentation,
            SupervisedSegmentationOptions,
            "no self-supervision: Dice + cross-entropy on the classes of a view",
        ),
        Entry("objective", "simclr", Simclr, SimclrOptions, "SimCLR, of two views or more"),
        Entry("objective", "moco-v2", Moco, MocoOptions, "MoCo v2: the other view's key among earlier ones"),
        Entry("objective", "byol", Byol, ByolOptions, "BYOL: a target network's projection is predicted"),
        Entry("objective", "dino", Dino, DinoOptions, "DINO with multi-crop: a teacher's output is matched"),
        Entry("objective", "mae", Mae, MaeOptions, "masked autoencoding: hidden blocks from the shown ones"),
    ]
