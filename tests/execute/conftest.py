"""A store for runs whose pauses are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from mribench.execute import disk, retries, scheduler
from mribench.results import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(retries, "BACKOFF_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(retries, "DISK_BACKOFF_S", (0.0,))
    monkeypatch.setattr(scheduler, "POLL_S", 0.01)
    monkeypatch.setattr(disk, "PROBE_S", 0.0)
    monkeypatch.setattr(scheduler, "REVIVE_S", 0.0)
    made = Store(tmp_path / "bench")
    made.open()
    return made
