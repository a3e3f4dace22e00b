"""Run notebooks without a browser.

python tools/notebooks.py run 07         run one, report its time and memory, write nothing
python tools/notebooks.py execute [07]   run one or all, and keep their outputs
python tools/notebooks.py check [07]     list what breaks the course's rules, run nothing
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
ANSI = re.compile(r"\x1b\[[0-9;]*m")
GIB = 2**30


class NotebookFailure(Exception):
    """A notebook did not run cleanly; the message is for the reader of a terminal."""


class MemoryGauge:
    """Watch the memory of all processes that this one has started, kernels among them."""

    def __init__(self, seconds_between_looks=0.2):
        self._pause = seconds_between_looks
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        while not self._stop.wait(self._pause):
            self._peak = max(self._peak, memory_of_children())

    def take(self):
        """Return the peak in bytes since the last call, and begin anew."""
        peak, self._peak = max(self._peak, memory_of_children()), 0
        return peak


def memory_of_children():
    """Return the resident memory, in bytes, of every process below this one."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it ended while we looked
            continue
    return total


def prepare(environment):
    """Tell kernels, in `environment`, to train on the CPU, to start quietly, and where the data lies."""
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    environment.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    if folder := environment.get("COURSE_DATA_DIR"):
        environment["COURSE_DATA_DIR"] = os.path.abspath(folder)


def find(prefix=None, folder=NOTEBOOKS):
    """Return the notebooks whose name starts with `prefix` ('07', '7', a file name), or all of them."""
    paths = sorted(Path(folder).glob("*.ipynb"))
    if not prefix:
        return paths
    stem = Path(prefix).stem
    stem = stem.zfill(2) if stem.isdigit() else stem
    found = [path for path in paths if path.stem.startswith(stem)]
    if not found:
        names = ", ".join(path.stem for path in paths) or "none yet"
        raise NotebookFailure(f"no notebook starts with {prefix!r}; there are: {names}")
    return found


def read(path):
    """Return the notebook of a file."""
    return nbformat.read(path, as_version=4)


def tags(cell):
    """Return the tags of a cell, a list of strings."""
    return cell.metadata.get("tags", [])


def datasets_of(cell):
    """Return the data sets that a cell needs: those of its tags `needs-<dataset>`."""
    return [tag.removeprefix("needs-") for tag in tags(cell) if tag.startswith("needs-")]


def missing_datasets(cell):
    """Return the data sets that a cell needs and that are not on this machine."""
    needed = datasets_of(cell)
    if not needed:
        return []
    from helpers.data import datasets  # pandas: only where a cell asks for data

    return [name for name in needed if not datasets.available(name)]


def execute(notebook, folder, skip_missing):
    """Run the code cells of `notebook` in place, and return the names of the data sets that were missing.

    Args:
        notebook: the notebook, whose outputs are replaced.
        folder: the working directory of its kernel.
        skip_missing: pass over a cell whose data is absent; otherwise that is a failure.

    Raises:
        NotebookFailure: with the cell and its error.
    """
    missing = sorted({name for cell in notebook.cells for name in missing_datasets(cell)})
    if missing and not skip_missing:
        raise NotebookFailure(
            f"it needs {', '.join(missing)}, absent here: name the folder that holds it in COURSE_DATA_DIR"
        )
    client = NotebookClient(
        notebook,
        timeout=3600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=True,  # or a slider that draws when it is made fails; `normalized` drops the state
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel(stderr=subprocess.DEVNULL):  # the kernel itself catches what a cell writes there
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code" and not missing_datasets(cell):
                _execute_cell(client, cell, index)
    return missing


def _execute_cell(client, cell, index):
    try:
        client.execute_cell(cell, index)
    except CellExecutionError as error:
        raise NotebookFailure(_story(cell, index, "\n".join(str(error).splitlines()[-25:]))) from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise NotebookFailure(_story(cell, index, str(error))) from None
    noise = "".join(output.text for output in cell.outputs if output.get("name") == "stderr")
    if noise:
        raise NotebookFailure(_story(cell, index, f"it wrote to stderr, which readers would see:\n{noise}"))


def _story(cell, index, what):
    source = "\n".join(f"    {line}" for line in cell.source.splitlines())
    return ANSI.sub("", f"cell {index} ({cell.id}) failed:\n\n{source}\n\n{what}")


def normalized(notebook):
    """Return a copy in the form that is committed: no timings, no versions, ids that one can read."""
    notebook = nbformat.from_dict(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    for cell, name in zip(notebook.cells, cell_ids(notebook), strict=False):
        cell.id = name
        cell.metadata = {"tags": sorted(tags(cell))} if tags(cell) else {}
        for output in cell.get("outputs", []):
            _normalize_output(output)
    return nbformat.from_dict(notebook)


def _normalize_output(output):
    data = output.get("data", {})
    if "text/plain" in data:  # a widget's model id is random, and its state is not kept
        data.pop("application/vnd.jupyter.widget-view+json", None)
    if "image/png" in data:
        data["image/png"] = data["image/png"].rstrip("\n")
    if output.output_type == "error":
        output.traceback = [_relative_paths(line) for line in output.traceback]


def _relative_paths(text):
    """Return `text` with the files of the project named from its root, whoever's machine it is."""
    for root in {str(ROOT), str(ROOT).replace(str(Path.home()), "~", 1)}:
        text = text.replace(root + os.sep, "")
    return text


def headings(cell):
    """Return the texts of the headings of a Markdown cell."""
    if cell.cell_type != "markdown":
        return []
    prose = re.sub(r"^```.*?^```", "", cell.source, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#{1,6} +(.+?) *$", prose, re.MULTILINE)


def cell_ids(notebook):
    """Return an id for every cell: the heading above it and a running number, as in `evidence-02`."""
    heading, seen, names = "top", Counter(), []
    for cell in notebook.cells:
        if found := headings(cell):
            heading = re.sub(r"[^a-z0-9]+", "-", found[0].lower()).strip("-")[:40].strip("-") or "section"
        seen[heading] += 1
        names.append(f"{heading}-{seen[heading]:02d}")
    return names


def text_of(notebook):
    """Return the text of the file of a notebook: one key a line, sorted, a newline at the end."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def _report(path, seconds, peak):
    print(f"{path.stem}: {seconds:.0f} s, {peak / GIB:.2f} GiB", flush=True)


def run_all(paths, keep):
    """Run notebooks one after another; with `keep`, write their outputs back."""
    with MemoryGauge() as memory:
        for path in paths:
            notebook, start = read(path), time.perf_counter()
            memory.take()
            missing = execute(notebook, path.parent, skip_missing=not keep)
            _report(path, time.perf_counter() - start, memory.take())
            for name in missing:
                print(f"  passed over the cells that need {name}: its data is not here")
            if keep:
                path.write_text(text_of(normalized(notebook)), encoding="utf-8", newline="\n")


def check_all(paths):
    """Print what breaks the rules, and fail if anything does."""
    from rules import complaints

    found = [f"{path.stem}: {line}" for path in paths for line in complaints(path)]
    print("\n".join(found) or f"{len(paths)} notebooks keep the rules")
    if found:
        raise NotebookFailure(f"{len(found)} to mend")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "execute", "check"])
    parser.add_argument("notebook", nargs="?", help="the number or the name of a notebook")
    chosen = parser.parse_args(arguments)
    prepare(os.environ)
    try:
        if chosen.what == "run" and not chosen.notebook:
            raise NotebookFailure("which one? For example: make notebook NB=07")
        paths = find(chosen.notebook)
        check_all(paths) if chosen.what == "check" else run_all(paths, keep=chosen.what == "execute")
    except NotebookFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
