"""A digest of the source behind an entry, blind to comments, docstrings and layout."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from mribench.volumes.cache import remember_by_file

HARNESS = "mribench"
BUILDING_BLOCKS = ("mribench.augmentation", "mribench.networks", "mribench.set_scores")
"""Public modules of the harness that compute what an entry's results are made of."""


def source_digest(module: str) -> str:
    """Return a SHA-256 over the normalised source of ``module`` and of what it imports of its own.

    Its own are the modules of the same top-level package, and the harness's ``BUILDING_BLOCKS``. All else of
    the harness is not followed: its changes are declared by ``mribench.RESULTS_VERSION``.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_closure(module).items()):
        digest.update(f"{name}\n{normalised_source(path)}\n".encode())
    return digest.hexdigest()


def normalised_source(path: Path) -> str:
    """Return the syntax tree of a Python file as text, without docstrings and positions."""
    return str(_examine(path)["tree"])


@functools.cache
def _examine(path: Path) -> dict[str, Any]:
    """Return what is to be known of a Python file; it is parsed once for each version of it."""
    python = ".".join(map(str, sys.version_info[:3]))  # which decides how trees are written as text
    return remember_by_file(path, f"source, Python {python}", _parse)


def _parse(path: Path) -> tuple[dict[str, Any], bool]:
    """Return the normalised tree, and what is imported anywhere in it: (level, module, names)."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    imports: list[tuple[int, str, list[str]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", [alias.name for alias in node.names]))
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_bare_string(item)]  # type: ignore[attr-defined]
    return {"tree": ast.dump(tree, include_attributes=False), "imports": imports}, True


def _is_bare_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@functools.cache
def _closure(module: str) -> dict[str, Path]:
    modules: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _path_of(name)
        if name in modules or path is None:
            continue
        modules[name] = path
        waiting.extend(_own_imports(name, path))
    return modules


def _own_imports(name: str, path: Path) -> list[str]:
    """Return the modules that ``path`` imports, anywhere in it, and that are followed."""
    top = name.partition(".")[0]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names: list[str] = []
    for level, module, members in _examine(path)["imports"]:
        base = importlib.util.resolve_name("." * level + module, package) if level else module
        names.append(base)
        names.extend(f"{base}.{member}" for member in members)
    return [module for module in names if _is_followed(module, top)]


def _is_followed(module: str, top: str) -> bool:
    if module.partition(".")[0] != HARNESS:
        return module.partition(".")[0] == top
    return any(module == block or module.startswith(f"{block}.") for block in BUILDING_BLOCKS)


@functools.cache
def _path_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):
        return None  # a name imported from a module, not a module
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)
