"""Conformance checks for plugin authors: does an entry keep the rules that the harness relies on?

The harness's own tests lie in ``tests/``.

Each check returns nothing, or raises ``ConformanceError`` with one sentence. In a plugin's own tests::

    from mribench.testing import check_entry

    @pytest.mark.parametrize("entry", my_plugin.mribench_entries(), ids=lambda entry: entry.name)
    def test_conformance(entry):
        check_entry(entry)
"""

from __future__ import annotations

from mribench.testing.datasets import check_dataset
from mribench.testing.encoders import check_decoder, check_encoder
from mribench.testing.entries import check_entry
from mribench.testing.metrics import check_metric
from mribench.testing.objectives import check_objective
from mribench.testing.probes import check_probe
from mribench.testing.problems import ConformanceError, NotCheckable
from mribench.testing.samples import ClassTokenEncoder, PyramidEncoder, make_maps, make_task_volume
from mribench.testing.set_metrics import check_set_metric
from mribench.testing.tables import check_tables
from mribench.testing.tasks import check_task
from mribench.testing.trackers import check_tracker
from mribench.testing.views import check_sequence, check_views

__all__ = [
    "ClassTokenEncoder", "ConformanceError", "NotCheckable", "PyramidEncoder", "check_dataset",
    "check_decoder", "check_encoder", "check_entry", "check_metric", "check_objective", "check_probe",
    "check_sequence", "check_set_metric", "check_tables", "check_task", "check_tracker", "check_views",
    "make_maps", "make_task_volume",
]  # fmt: skip
