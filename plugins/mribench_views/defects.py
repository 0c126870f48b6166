"""Known defects of the released code's views and signal equations, each a switch of its own."""

from __future__ import annotations

from mribench.interfaces import Defect

RADIAN_ROTATION = Defect(
    "radian-rotation",
    "rotations meant in degrees are taken as radians, and turn about the first axis only",
    "augmentation of the released code: rotate_range=15",
)
HISTOGRAM_EQUALISATION = Defect(
    "histogram-equalisation",
    "every simulated image is histogram-equalised, which the paper does not say",
    "loaders of the released code",
)
OTHER_WINDOW = Defect(
    "other-window",
    "SeqAug and SeqInv clip intensities at the 95th percentile where Base clips at the 99.5th",
    "loaders of the released code",
)
FIXED_MPRAGE_DRAW = Defect(
    "fixed-mprage",
    "Base sees one MPRAGE with the same parameters in every view, while the others draw theirs anew",
    "loaders of the released code",
)
REPEATED_SEQUENCE = Defect(
    "repeated-sequence",
    "SeqInv draws the sequences of its two views apart, so that both may show the same one",
    "loaders of the released code: 1 time in 6",
)
R2STAR_AS_R2 = Defect(
    "r2star-as-r2",
    "spin echoes decay with R2*, also where R2 is known",
    "signal equations of the released code",
)
IMPOSSIBLE_PARAMETERS = Defect(
    "impossible-parameters",
    "acquisition parameters that no scanner could run, or that show no contrast, are not drawn again",
    "sampling of the released code: 54 % of FLAIR draws, 81 % of MP2RAGE draws",
)
GRE_WITHOUT_MT = Defect(
    "gre-without-mt",
    "magnetisation transfer never reaches the gradient echo",
    "signal equations of the released code",
)
SIGNED_FLAIR = Defect(
    "signed-flair", "FLAIR keeps the sign of its signal", "signal equations of the released code"
)
MP2RAGE_MAGNITUDE = Defect(
    "mp2rage-magnitude",
    "MP2RAGE is shown as a magnitude, which folds its two halves onto each other",
    "signal equations of the released code",
)

VIEW_DEFECTS = (RADIAN_ROTATION, HISTOGRAM_EQUALISATION)
SEQUENCE_DEFECTS = (R2STAR_AS_R2, IMPOSSIBLE_PARAMETERS)
