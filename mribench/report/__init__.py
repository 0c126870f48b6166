"""Tables and figures of many methods, and how they look.

What a number means lies in ``statistics``, how it is read in ``results``.
"""

from __future__ import annotations

from mribench.interfaces.document import Document
from mribench.report.catalogue import BUILT_IN, taken_names
from mribench.report.material import Material
from mribench.report.render.document import render, save
from mribench.report.run_document import file_document, run_document, set_beside
from mribench.results.load import RunData, load_run
from mribench.wording import FORMATS

__all__ = [
    "BUILT_IN", "FORMATS", "Document", "Material", "RunData", "file_document", "load_run", "render",
    "run_document", "save", "set_beside", "taken_names",
]  # fmt: skip
