"""The recipe of notebook 07 needs nothing but copied files of `helpers/` and a log with names of its own."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "07_embedding_lstm.ipynb"
IMPORT = re.compile(r"^from helpers\.(\w+)\.(\w+) import", re.MULTILINE)


def recipe():
    """The code between the heading of the recipe and the next text: its settings, then the recipe itself."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (start,) = [n for n, cell in enumerate(cells) if "".join(cell["source"]).startswith("## The recipe")]
    return ["".join(cell["source"]) for cell in cells[start + 1 : start + 3]]


@pytest.fixture
def copied(tmp_path):
    """A folder with the recipe as one script, the files that it imports, and a log."""
    source = "\n".join(recipe())
    for room, name in IMPORT.findall(source):
        shutil.copy(ROOT / "helpers" / room / f"{name}.py", tmp_path)
    shutil.copy(ROOT / "data" / "sample_events.csv", tmp_path / "mine.csv")
    script = IMPORT.sub(r"from \2 import", source).replace("../data/sample_events.csv", "mine.csv")
    (tmp_path / "recipe.py").write_text(script, encoding="utf-8")
    return tmp_path


def test_the_recipe_runs_with_nothing_but_copied_files(copied):
    outside = "import sys; sys.modules['helpers'] = None; import runpy; runpy.run_path('recipe.py')"
    run = subprocess.run([sys.executable, "-c", outside], cwd=copied, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    score, views = re.fullmatch(r"HR@10 ([\d.]+) over (\d+) views .*", run.stdout.strip()).groups()
    assert 0 <= float(score) <= 1 and int(views) > 10


def test_the_recipe_is_short():
    code = [line for line in recipe()[1].splitlines() if line.strip()]
    assert len(code) < 30
