"""Fixtures for all tests."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).parent.parent

# Before anything imports numpy or torch, and for the processes that tests start: on arrays as small as those
# of the tests, threads that wait for each other cost several times what the arithmetic does.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# How long a draw takes says how busy the machine is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A shell's background job ignores the signal, and the processes that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Keep Python from looking for garbage among what stays to the end: modules and thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show, below a test that fails, why jobs in its folders did: their own processes say it to files."""
    report = yield
    if report.failed:
        folders = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Path)]
        report.sections += [section for folder in folders for section in _failed_jobs(folder)]
    return report


def _failed_jobs(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the traceback of each job below a folder of results that is not done."""
    for path in sorted({*folder.glob("jobs/*/status.json"), *folder.glob("*/jobs/*/status.json")}):
        text = path.read_text(errors="replace")
        if '"done"' not in text:
            log = path.with_name("log.txt")
            said = log.read_text()[-2000:] if log.exists() else ""
            yield f"job {path.parent.name}", "\n".join([text.replace("\\n", "\n"), said])


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Real scans and label maps that only developers of mribench have."""
    folder = Path(os.environ.get("MRIBENCH_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data" / "scans").is_dir():
        pytest.skip("the developers' real scans are not here (set MRIBENCH_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Expected values from independent implementations."""
    return Path(__file__).parent / "golden"


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests, and what fixtures of modules do before them, out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRIBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield
