"""What ``mribench schema`` does."""

from __future__ import annotations

import json
from pathlib import Path

from mribench.commands.problems import load_plugins
from mribench.commands.streams import put
from mribench.config.schema import make_schema
from mribench.results.places import writing


def write_schema(output: Path | None, distribution: str | None) -> int:
    """Print the JSON Schema of the benchmark file, or write it."""
    text = json.dumps(make_schema(load_plugins(), distribution), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        put(text)
        return 0
    with writing(output, "choose another path"):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    return 0
