"""Digests of values of JSON: the same value has the same digest on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """Return a value as JSON, written in one way only.

    Raises:
        ValueError: for a number that is not finite, which JSON does not know.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value: Any, length: int = 64) -> str:
    """Return the first hexadecimal digits of the SHA-256 of a value's canonical JSON.

    Args:
        value: of JSON.
        length: how many digits; 64 is all of them.
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]
