"""The digest changes with what the code does, and with nothing else."""

from __future__ import annotations

import importlib
import itertools
import sys

import pytest

from mribench import source_digest as module
from mribench.source_digest import source_digest

BASE = '''"""About."""
from {package}.helper import factor


def double(x):
    """Double."""
    return factor * x
'''
HELPER = "factor = 2\n"
NAMES = itertools.count()


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Write a package and return the digest of one of its modules."""

    def _digest(files: dict[str, str], name: str = "main") -> str:
        folder = tmp_path / str(next(NAMES))
        package = folder / "made_up_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        for path, text in files.items():
            (package / path).parent.mkdir(exist_ok=True, parents=True)
            (package / path).write_text(text.replace("{package}", "made_up_package"))
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            _forget()
            found = source_digest(f"made_up_package.{name}")
        _forget()
        return found

    yield _digest
    _forget()


def _forget() -> None:
    for cached in (module._closure, module._path_of, module._examine):
        cached.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "made_up_package"]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""About."""', '"""Something else."""'),
        ('"""About."""\n', ""),
        ('    """Double."""\n', ""),
        ("    return factor * x", "    # by two\n\n    return (factor *   x)  # done"),
        ("\n\n\ndef", "\n\n\n\n\n\n\ndef"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(digest, old, new):
    before = digest({"main.py": BASE, "helper.py": HELPER})
    assert digest({"main.py": BASE.replace(old, new), "helper.py": HELPER}) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("main.py", "factor * x", "factor + x"),
        ("main.py", "def double", "def twice"),
        ("helper.py", "2", "3"),
        ("helper.py", "factor = 2", "factor = 2.0"),
    ],
)
def test_code_counts_also_that_of_imported_modules(digest, file, old, new):
    files = {"main.py": BASE, "helper.py": HELPER}
    before = digest(files)
    assert digest(files | {file: files[file].replace(old, new)}) != before


def test_modules_that_are_not_imported_do_not_count(digest):
    files = {"main.py": BASE, "helper.py": HELPER}
    assert digest(files) == digest(files | {"other.py": "x = 1\n"})


@pytest.mark.parametrize(
    "line",
    [
        "from . import helper",
        "from .helper import factor",
        "import {package}.helper",
        "from {package} import helper as h",
        "def f():\n    from {package}.helper import factor",
        "if True:\n    from . import helper",
    ],
)
def test_all_ways_to_import_are_followed(digest, line):
    one = digest({"main.py": f"{line}\n", "helper.py": HELPER})
    assert one != digest({"main.py": f"{line}\n", "helper.py": "factor = 5\n"})


def test_imports_are_followed_to_the_end_and_in_circles(digest):
    files = {"main.py": "from . import a\n", "a.py": "from . import b\n", "b.py": "from . import a\nx = 1\n"}
    assert digest(files) != digest(files | {"b.py": "from . import a\nx = 2\n"})


def test_subpackages_are_followed(digest):
    files = {
        "sub/__init__.py": "from .inner import x\n",
        "sub/inner.py": "from ..helper import factor as x\n",
        "helper.py": HELPER,
        "main.py": "from .sub import x\n",
    }
    for name in ("helper.py", "sub/inner.py"):
        assert digest(files) != digest(files | {name: files[name] + "y = 1\n"}), name


def test_other_packages_and_the_rest_of_the_harness_are_not_followed():
    found = module._closure("mribench_objectives.simclr_recon")
    others = {name for name in found if name.split(".")[0] != "mribench_objectives"}
    assert others == {"mribench.networks"}
    assert "mribench_objectives.nt_xent" in found
    assert set(module._closure("mribench.execute.local")) == {"mribench.execute.local"}


def test_building_blocks_of_the_harness_are_followed():
    found = module._closure("mribench_views.generators")
    assert "mribench.augmentation.splines" in found
    assert not {name for name in found if name.startswith(("mribench.interfaces", "mribench.errors"))}


def test_the_digest_is_the_same_in_another_folder(digest):
    files = {"main.py": BASE, "helper.py": HELPER}
    assert digest(files) == digest(files)  # each call writes to a folder of its own


def test_a_module_without_source_has_a_digest_of_nothing():
    assert source_digest("sys") == source_digest("no_such_module_at_all")
