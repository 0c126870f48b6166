"""Results with everything that a page can show, the page of them, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from html_results import write_results
from report_tables import page

from mribench.report import load_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("results") / "synthetic")


@pytest.fixture(scope="session")
def html(results: Path) -> str:
    return page(load_run(results), directory=results)


@pytest.fixture(scope="session")
def _driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which(DRIVER)
    if browser is None or driver is None:
        pytest.skip("no Chromium and chromedriver here (on Debian: the packages chromium, chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1280,900"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    found = webdriver.Chrome(options=options, service=Service(driver))
    found.downloads = downloads  # type: ignore[attr-defined]
    found.set_page_load_timeout(30)
    yield found
    found.quit()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory, html: str) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture
def browser(_driver: Any, page_file: Path) -> Any:
    """A browser that has just opened the page, with nothing remembered and nothing logged."""
    _driver.get(page_file.as_uri())
    _driver.execute_script("try { localStorage.clear(); } catch {}")
    _driver.get("about:blank")
    for kind in ("browser", "performance"):
        _driver.get_log(kind)
    _driver.get(page_file.as_uri())
    return _driver
