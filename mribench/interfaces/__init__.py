"""What crosses the plugin boundary: base classes, frozen dataclasses and options.

Nothing here computes a result. ``__init__.pyi`` lists the names; they are imported on first use, so that
reading results needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
