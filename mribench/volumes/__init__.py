"""Volumes on grids, the NIfTI files that hold them, and the cache. Public to plugins.

What a scan or a subject is lies in ``interfaces``. ``__init__.pyi`` lists the names, which are imported on
first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
