"""Measure the large tables of data/results again: notebooks with FULL = True, one after another.

    python tools/experiments.py [07]
    python tools/experiments.py [07] --adopt 2

A table keeps the rows that it has, as long as settings and code are those that made them: stop with Ctrl-C
whenever you like, and start again.

After a change of code that changes no number, `--adopt 2` measures two rows of each stale table again, and keeps
the others if both come out to the last digit as they were.
"""

import argparse
import contextlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from notebooks import ANSI, NotebookFailure, find, prepare, read, tags


def has_experiments(notebook):
    """Tell whether the parameters cell of a notebook has a FULL to switch on."""
    cells = [cell.source for cell in notebook.cells if "parameters" in tags(cell)]
    return any(re.search(r"^FULL\s*=", source, re.MULTILINE) for source in cells)


ADOPT = """from functools import partial
from helpers.evaluation import evidence
evidence.read_table = partial(evidence.adopt_table, n={rows})"""


def measure(path, adopt=0):
    """Run one notebook with FULL = True; show what it prints, throw its executed copy away.

    A cell that is meant to fail is passed over: papermill would call the notebook failed. With adopt, FULL stays
    False, and a table that is stale is adopted after so many rows.
    """
    with tempfile.TemporaryDirectory() as scratch:
        notebook = read(path)
        notebook.cells = [cell for cell in notebook.cells if "raises-exception" not in tags(cell)]
        if adopt:
            notebook.cells.insert(0, nbformat.v4.new_code_cell(ADOPT.format(rows=adopt)))
        source = Path(scratch) / path.name
        nbformat.write(notebook, source)
        try:
            papermill.execute_notebook(
                str(source),
                str(source.with_suffix(".done.ipynb")),
                parameters={"FULL": not adopt},
                cwd=str(path.parent),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
            )
        except PapermillExecutionError as error:
            raise NotebookFailure(ANSI.sub("", f"{path.stem} failed:\n{error}")) from None


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebook", nargs="?", help="the number or the name of a notebook; without it, all")
    parser.add_argument("--adopt", type=int, default=0, metavar="N", help="measure N rows of a stale table again")
    chosen = parser.parse_args(arguments)
    prepare(os.environ)
    try:
        paths = [path for path in find(chosen.notebook) if has_experiments(read(path))]
        if not paths:
            raise NotebookFailure("nothing to measure: no parameters cell has FULL = False")
        for path in paths:
            start = time.perf_counter()
            print(f"{path.stem}: measuring", flush=True)
            measure(path, chosen.adopt)
            print(f"{path.stem}: {(time.perf_counter() - start) / 60:.1f} min", flush=True)
    except NotebookFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the rows that were measured are kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
