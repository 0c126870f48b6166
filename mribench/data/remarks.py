"""What is odd about a scan that is used all the same."""

from __future__ import annotations

from mribench.data.inspection import inspect_values
from mribench.data.uses import find_label_owner
from mribench.interfaces.dataset import Dataset, Exclusion, Scan, Subject
from mribench.volumes.grids import find_grid_remarks


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
    sentences = {
        **find_grid_remarks(list(scan.images.values()), labels, others),
        **inspect_values(dataset, scan, reader).remarks,
    }
    sentences |= _label_of_another_session(subject, scan)
    return [Exclusion(subject.name, sentence, kind) for kind, sentence in sentences.items()]


def _label_of_another_session(subject: Subject, scan: Scan) -> dict[str, str]:
    labelled = {label: other.session for other in subject.scans for label in other.labels}
    sentences = {}
    for label, session in labelled.items():
        if find_label_owner(subject, scan, label) is None:
            image = next(iter(scan.images.values()))
            sentences["scan without label, of a subject with one"] = (
                f"{image}: session '{scan.session}' has no '{label}' label; that of session '{session}' is"
                " not used for it, since the head lay elsewhere"
            )
    return sentences
