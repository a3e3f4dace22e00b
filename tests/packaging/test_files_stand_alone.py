"""Every file of helpers/ works when it is copied alone into an empty folder."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import helpers

HELPERS = Path(helpers.__file__).parent
FILES = {
    path.relative_to(HELPERS).as_posix(): path
    for path in sorted(HELPERS.rglob("*.py"))
    if path.name != "__init__.py"
}

# One process for all, since TensorFlow takes seconds. `None` in sys.modules makes `import helpers` fail.
RUN_COPIES = """
import doctest, importlib, json, os, sys, traceback
sys.modules["helpers"] = None
verdicts = {}
for folder in json.load(sys.stdin):
    os.chdir(folder)
    (name,) = [file.removesuffix(".py") for file in os.listdir() if file.endswith(".py")]
    sys.path.insert(0, folder)
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    try:
        lines = []
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
        for test in doctest.DocTestFinder().find(importlib.import_module(name), name):
            runner.run(test, out=lines.append)
        verdicts[folder] = "".join(lines)
    except BaseException:
        verdicts[folder] = traceback.format_exc()
    sys.path.remove(folder)
    sys.modules.pop(name, None)
print("\\n" + json.dumps(verdicts))
"""


def run_alone(files, scratch):
    """Copy each file into a folder of its own and run its examples there; return what went wrong, by name."""
    folders = {}
    for number, (name, path) in enumerate(files.items()):
        folder = scratch / str(number)
        folder.mkdir()
        shutil.copy(path, folder)
        folders[name] = str(folder)
    process = subprocess.run(
        [sys.executable, "-I", "-c", RUN_COPIES],
        input=json.dumps(list(folders.values())),
        capture_output=True,
        text=True,
        cwd=scratch,
    )
    assert process.returncode == 0, process.stderr
    verdicts = json.loads(process.stdout.splitlines()[-1])
    return {name: verdicts[folder] for name, folder in folders.items()}


def siblings_imported(source):
    """Return the imports of helpers, and the relative ones, anywhere in a source."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found += ["." * node.level + (node.module or "")] if node.level or node.module else []
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return [name for name in found if name.startswith(".") or name.split(".")[0] == "helpers"]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    return run_alone(FILES, tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize("name", FILES)
def test_the_examples_of_a_copied_file_run(name, verdicts):
    assert verdicts[name] == ""


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_no_sibling(name):
    assert siblings_imported(FILES[name].read_text(encoding="utf-8")) == []


def test_a_file_that_needs_a_sibling_is_caught(tmp_path):
    needy = tmp_path / "needy.py"
    needy.write_text('"""\n>>> 1 + 1\n3\n"""\n\ndef later():\n    from helpers.data import events\n')
    leaning = tmp_path / "leaning.py"
    leaning.write_text("from helpers import data\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = run_alone({"needy": needy, "leaning": leaning}, scratch)
    assert "Expected:\n    3" in found["needy"] and "ModuleNotFoundError" in found["leaning"]
    assert siblings_imported(needy.read_text()) == ["helpers.data"]
    assert siblings_imported("from . import events") == ["."]
