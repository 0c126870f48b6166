"""The entries of this plugin."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_datasets.arc import ARC
from mribench_datasets.folders import FolderOptions
from mribench_datasets.ixi import IXI
from mribench_datasets.mpm import MPM
from mribench_datasets.phantom.dataset import Phantom, PhantomOptions
from mribench_datasets.splits import SiteSplit, SiteSplitOptions, SubjectSplit, SubjectSplitOptions


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the datasets and the split rules."""
    return [
        Entry("dataset", "ixi", IXI, FolderOptions, "healthy adults, three sites, T1w T2w PDw"),
        Entry("dataset", "arc", ARC, FolderOptions, "chronic stroke, T1w T2w FLAIR, lesion masks"),
        Entry("dataset", "mpm", MPM, FolderOptions, "quantitative maps PD, R1, R2*, MTsat"),
        Entry("dataset", "phantom", Phantom, PhantomOptions, "simulated heads in the layouts of the others"),
        Entry("split", "subject", SubjectSplit, SubjectSplitOptions, "by subject over the whole cohort"),
        Entry("split", "site", SiteSplit, SiteSplitOptions, "train at one site, test at all"),
    ]
