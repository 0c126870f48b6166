"""The entries of this plugin."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_datasets import splits
from mribench_datasets.arc import ARC
from mribench_datasets.bids import BIDS, BIDSOptions
from mribench_datasets.folders import FolderOptions
from mribench_datasets.ixi import IXI
from mribench_datasets.labelmap.dataset import LabelMapOptions, LabelMaps
from mribench_datasets.mpm import MPM, MPMOptions
from mribench_datasets.phantom.dataset import Phantom, PhantomOptions
from mribench_datasets.table import Table
from mribench_datasets.table_options import TableOptions


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the datasets and the split rules."""
    return [
        Entry("dataset", "ixi", IXI, FolderOptions, "healthy adults, three sites, T1w T2w PDw"),
        Entry("dataset", "arc", ARC, FolderOptions, "chronic stroke, T1w T2w FLAIR, lesion masks"),
        Entry("dataset", "mpm", MPM, MPMOptions, "quantitative maps PD, R1, R2*, MTsat"),
        Entry(
            "dataset", "table", Table, TableOptions, "your own scans, as a CSV, TSV or JSON file lists them"
        ),
        Entry("dataset", "bids", BIDS, BIDSOptions, "any BIDS folder, labels from its derivatives"),
        Entry("dataset", "phantom", Phantom, PhantomOptions, "simulated heads in the layouts of the others"),
        Entry("dataset", "labelmap", LabelMaps, LabelMapOptions, "real anatomies with simulated tissue"),
        Entry(
            "split",
            "subject",
            splits.SubjectSplit,
            splits.SubjectSplitOptions,
            "by subject over the whole cohort",
            splits.DEFECTS,
        ),
        Entry(
            "split",
            "site",
            splits.SiteSplit,
            splits.SiteSplitOptions,
            "train at one site, test at all",
            splits.DEFECTS,
        ),
        Entry(
            "split",
            "leave-sites-out",
            splits.LeaveSitesOut,
            splits.LeaveSitesOutOptions,
            "train at all sites but some, test at those too",
            splits.DEFECTS,
        ),
    ]
