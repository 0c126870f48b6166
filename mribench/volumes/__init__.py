"""Volumes on grids and the files that hold them: reading, writing, reorienting, resampling, and the cache.

Public to plugins. What a scan or a subject is, and how images are prepared for training, lies in
``mribench.interfaces`` and ``mribench.data``. ``__init__.pyi`` lists the names, which are imported on first
use; no torch here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
