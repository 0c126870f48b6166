"""What is odd about a scan that is used all the same."""

from __future__ import annotations

from mribench.data.grids import grid_remarks
from mribench.data.inspection import inspect_values
from mribench.interfaces.dataset import Dataset, Exclusion, Scan, Subject


def scan_remarks(dataset: Dataset, subject: Subject, scan: Scan, reader: str) -> list[Exclusion]:
    """Return remarks on where the files of a scan lie, and on their values.

    Args:
        dataset: reads the scan.
        subject: whose scan it is.
        scan: that can be used.
        reader: tells versions of the dataset's code apart.
    """
    labels = [path for paths in scan.labels.values() for path in paths]
    own = set(labels)
    others = [path for other in subject.scans if own & set(other.files()) for path in other.images.values()]
    found = {
        **grid_remarks(list(scan.images.values()), labels, others),
        **inspect_values(dataset, scan, reader).remarks,
    }
    return [Exclusion(subject.name, sentence, kind) for kind, sentence in found.items()]
