"""Entry points are loaded one by one; a broken plugin is named and skipped."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mribench.errors import ConfigError, PluginError
from mribench.interfaces.options import ObjectiveRef
from mribench.plugins import load_registry

HEAD = "from mribench import hookimpl\nfrom mribench.interfaces import Entry, NoOptions, Options\n"
GOOD = HEAD + (
    "@hookimpl\ndef mribench_entries():\n"
    "    yield Entry('objective', '{name}', lambda options, encoder: None, NoOptions, 'a made-up one')\n"
)
COUNTER = itertools.count()


@pytest.fixture
def point(tmp_path, monkeypatch):
    """Write a module and return an entry point to it; each has a name of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def _point(name: str, text: str) -> EntryPoint:
        module = f"made_up_plugin_{next(COUNTER)}"
        (tmp_path / f"{module}.py").write_text(text)
        importlib.invalidate_caches()
        return EntryPoint(name, module, "mribench")

    return _point


@pytest.fixture
def good(point):
    """Two plugins without fault; the broken one sorts between them."""
    return [point("a-good", GOOD.format(name="first")), point("z-good", GOOD.format(name="last"))]


def returning(value: str) -> str:
    return f"{HEAD}@hookimpl\ndef mribench_entries():\n    return {value}\n"


BROKEN = {
    "import": ("import a_package_that_nobody_has\n", "ModuleNotFoundError: No module named"),
    "syntax": ("def broken(:\n", "SyntaxError"),
    "exit": ("import sys\nsys.exit('no licence')\n", "cannot be imported: SystemExit: no licence"),
    "panic": (
        "class Panic(BaseException):\n    pass\nraise Panic('unwrap of nothing')\n",
        "cannot be imported: Panic: unwrap of nothing",
    ),
    "lines": ("raise RuntimeError('one\\n  two')\n", "RuntimeError: one two"),
    "misspelled": (
        f"{HEAD}@hookimpl\ndef mribench_entires():\n    return []\n",
        "mribench_entires",
    ),
    "arguments": (
        f"{HEAD}@hookimpl\ndef mribench_entries(config):\n    return []\n",
        "config",
    ),
    "raising": (
        f"{HEAD}@hookimpl\ndef mribench_entries():\n    return 1 / 0\n",
        "fails in mribench_entries: ZeroDivisionError",
    ),
    "raising-panic": (
        f"{HEAD}@hookimpl\ndef mribench_entries():\n    raise BaseException('no device')\n",
        "fails in mribench_entries: BaseException: no device",
    ),
    "late": (
        f"{HEAD}@hookimpl\ndef mribench_entries():\n    yield Entry('objective', 'x', print)\n    1 / 0\n",
        "fails in mribench_entries: ZeroDivisionError",
    ),
    "number": (returning("3"), "fails in mribench_entries: TypeError"),
    "not-entry": (returning("[('objective', 'x')]"), "returned ('objective', 'x'), expected an Entry"),
    "unmarked": (f"{HEAD}def mribench_entries():\n    return []\n", "registers nothing"),
    "nothing": (returning("[]"), "registers nothing"),
    "empty": ("", "registers nothing; is a function 'mribench_entries' marked @hookimpl?"),
    "kind": (
        returning("[Entry('objectiv', 'x', print, NoOptions)]"),
        "entry 'x' is of unknown kind 'objectiv'; did you mean 'objective'?",
    ),
    "options": (
        returning("[Entry('objective', 'x', print, dict)]"),
        "subclass of Options, got <class 'dict'>",
    ),
    "instance": (returning("[Entry('objective', 'x', print, NoOptions())]"), "subclass of Options"),
    "factory": (returning("[Entry('objective', 'x', 'print')]"), "factory to be callable, got 'print'"),
    "name": (returning("[Entry('objective', '', print)]"), "expected text as its name"),
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_named_and_skipped(point, good, text, reason):
    broken = point("m-broken", text)
    registry = load_registry([*good, broken])
    assert registry.names("objective") == ["first", "last"]
    (problem,) = registry.problems
    assert problem.startswith(f"plugin 'm-broken' ({broken.value})")
    assert reason in problem
    assert "\n" not in problem


def test_broken_plugins_are_all_named_in_order(point, good):
    registry = load_registry([point("c", ""), *good, point("b", "1/0")])
    assert [text.split("'")[1] for text in registry.problems] == ["b", "c"]


def test_a_module_that_is_not_there(good):
    registry = load_registry([*good, EntryPoint("gone", "no.such.module", "mribench")])
    assert registry.names("objective") == ["first", "last"]
    assert "plugin 'gone' (no.such.module) cannot be imported" in registry.problems[0]


def test_unknown_names_mention_what_was_skipped(point, good):
    registry = load_registry([*good, point("m-broken", "import a_package_that_nobody_has\n")])
    with pytest.raises(PluginError) as caught:
        registry.get("objective", "frist")
    assert caught.value.message == "unknown objective 'frist'"
    hint = caught.value.hint
    assert hint.startswith("did you mean 'first'?; 1 plugin did not load: plugin 'm-broken'")
    assert "a_package_that_nobody_has" in hint
    with pytest.raises(ConfigError) as shown:
        registry.resolve(ObjectiveRef(name="frist"), "x.yaml: methods.a.objective", "corrected")
    assert shown.value.message == "x.yaml: methods.a.objective: unknown objective 'frist'"
    assert "m-broken" in shown.value.hint


def test_two_owners_of_one_name_are_both_named(point):
    one, two = point("one", GOOD.format(name="same")), point("two", GOOD.format(name="same"))
    with pytest.raises(PluginError) as caught:
        load_registry([two, one])
    assert caught.value.message == (
        "objective 'same' is registered twice: by plugin 'one' of unknown and by plugin 'two' of unknown"
    )


def test_one_name_may_stand_under_two_kinds(point):
    text = returning("[Entry('objective', 'x', print), Entry('views', 'x', print)]")
    registry = load_registry([point("p", text)])
    assert (registry.names("objective"), registry.names("views")) == (["x"], ["x"])


def test_every_call_makes_a_fresh_registry(good):
    first, second = load_registry(good), load_registry(good)
    assert first is not second
    assert [item.entry.name for item in first] == [item.entry.name for item in second] == ["first", "last"]


def test_hook_mribench_entries_collects_from_any_iterable(point):
    texts = ["[e]", "(e,)", "iter([e])", "{'k': e}.values()"]
    for text in texts:
        body = f"{returning(text)}e = Entry('objective', 'x', print)\n"
        assert load_registry([point("p", body)]).names("objective") == ["x"], text


def test_a_class_may_hold_the_hook(point):
    text = (
        f"{HEAD}class Plugin:\n    @hookimpl\n    def mribench_entries(self):\n"
        "        return [Entry('objective', 'held', print)]\nplugin = Plugin()\n"
    )
    made = point("p", text)
    registry = load_registry([EntryPoint("p", f"{made.value}:plugin", "mribench")])
    assert registry.names("objective") == ["held"]


# A third party's plugin, really installed: into a folder of its own, found through its metadata.


@pytest.fixture(scope="module")
def installed(repository, tmp_path_factory) -> dict[str, str]:
    """The environment of a Python that has example-method besides mribench."""
    pytest.importorskip("hatchling", reason="building a plugin offline needs hatchling (the dev extra)")
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    for path in (repository / "plugins" / "example-method").iterdir():
        if path.is_file():
            (source / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
               "--no-index", "--disable-pip-version-check", "--target", str(target), str(source)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": str(target), "COLUMNS": "250"}


SESSION = """
import sys
from mribench import cli
for arguments in {calls}:
    print("$", *arguments, flush=True)
    sys.argv = ["mribench", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        print("code", end.code, flush=True)
"""


def test_an_installed_plugin_is_listed_and_planned(installed, repository, tmp_path):
    file = str(repository / "benchmarks" / "quickstart.yaml")
    new = ["--set", "methods.new.views=seqinv", "--set", "methods.new.objective=vicreg"]
    calls = [
        ["list", "objective"],
        ["plugins", "list"],
        ["plan", file, "--results", "r"],
        ["plan", file, "--results", "r", "--jobs", *new],
    ]
    done = subprocess.run(
        [sys.executable, "-c", SESSION.format(calls=calls)],
        env=installed, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    listed, plugins, before, after = done.stdout.split("$ ")[1:]
    (row,) = [line for line in listed.splitlines() if "vicreg" in line]
    assert "example-method (mribench-example-method 0.1.0)" in row
    assert "simclr-recon" in listed
    (row,) = [line for line in plugins.splitlines() if "example-method" in line]
    assert "objective vicreg" in row
    assert all(text.rstrip().endswith("code 0") for text in (listed, plugins, before, after))
    methods = len(["base", "seqaug", "seqinv"])
    own = _of_methods(before)
    assert own > 0
    assert _of_methods(after) * methods == own * (methods + 1)
    assert "new/pretrain/seed0" in after
    assert not list(tmp_path.iterdir())  # a plan writes nothing


def _of_methods(text: str) -> int:
    (row,) = [line for line in text.splitlines() if line.replace("│", " ").split()[:1] == ["all"]]
    return int(row.replace("│", " ").split()[2])


def test_the_entry_point_group_is_documented_by_the_first_party(repository):
    text = (Path(repository) / "pyproject.toml").read_text()
    assert "[project.entry-points.mribench]" in text
