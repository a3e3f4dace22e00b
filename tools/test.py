"""Check the whole course: units, docstring examples, exercises, then every notebook against its outputs.

    python tools/test.py        all of it
    python tools/test.py 07     that notebook alone

Set COURSE_DATA_DIR to the folder with the downloaded data to check the cells that need it, and
COURSE_TIME_FACTOR (3 unless set) to what a slow machine may take of the time that a notebook is allowed.
"""

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections import Counter

import pytest

from notebooks import (
    GIB,
    ROOT,
    MemoryGauge,
    NotebookFailure,
    datasets_of,
    find,
    missing_datasets,
    prepare,
    read,
)

USUAL_SECONDS = 60
SECONDS = {"00": 30, "08": 180, "10": 180, "18": 120, "20": 120}
TOGETHER_SECONDS = 20 * 60
MEMORY = 2 * GIB
SANITIZERS = ROOT / "tests" / "notebooks" / "sanitize.cfg"


def ceiling(path):
    """Return the seconds that a notebook may take on two cores."""
    return SECONDS.get(path.stem[:2], USUAL_SECONDS)


class Cells:
    """A pytest plugin: passes over cells whose data is absent, counts them, and weighs every notebook."""

    def __init__(self, memory):
        self.ran, self.skipped = 0, 0
        self.seconds, self.peaks = Counter(), Counter()
        self._memory = memory
        self._real = set()

    def pytest_collection_modifyitems(self, items):
        for item in items:
            if datasets_of(item.cell):
                self._real.add(item.nodeid)
            if missing := missing_datasets(item.cell):
                item.add_marker(pytest.mark.skip(reason=f"the data set {', '.join(missing)} is not here"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._memory.take()
        result = yield
        self.peaks[item.path] = max(self.peaks[item.path], self._memory.take())
        return result

    def pytest_runtest_logreport(self, report):
        path = ROOT / report.nodeid.split("::")[0]
        self.seconds[path] += report.duration
        if report.nodeid in self._real:
            self.skipped += report.skipped
            self.ran += report.when == "call"


def check_units():
    """Run unit tests and docstring examples, with the coverage of helpers; return whether all is well."""
    return (
        subprocess.call([sys.executable, "-m", "pytest", "--cov", "--cov-report=term", "-q"], cwd=ROOT) == 0
    )


def check_notebooks(paths, memory, factor):
    """Run notebooks under nbval; return whether all is well, and what was counted."""
    cells = Cells(memory)
    timeout = factor * max(map(ceiling, paths))
    options = ["--nbval", "--nbval-current-env", "-q", "-rs", "-p", "no:cacheprovider"]
    options += [f"--nbval-cell-timeout={timeout:.0f}", f"--nbval-sanitize-with={SANITIZERS}"]
    options += ["--color=auto" if sys.stdout.isatty() else "--color=no"]
    return pytest.main([*options, *map(str, paths)], plugins=[cells]) == 0, cells


@contextlib.contextmanager
def no_downloads():
    """Hide the real data for a while: an empty folder takes its place."""
    before = os.environ.get("COURSE_DATA_DIR")
    with tempfile.TemporaryDirectory() as empty:
        os.environ["COURSE_DATA_DIR"] = empty
        try:
            yield
        finally:
            del os.environ["COURSE_DATA_DIR"]
            if before is not None:
                os.environ["COURSE_DATA_DIR"] = before


def lacks_data(path):
    """Tell whether a notebook has a cell whose data is absent now."""
    return any(map(missing_datasets, read(path).cells))


def weighed(cells, factor):
    """Return a line for every notebook, and what is over its ceiling."""
    lines, over = [], []
    for path in sorted(cells.seconds):
        seconds, peak, allowed = cells.seconds[path], cells.peaks[path], ceiling(path)
        slow = "" if seconds <= allowed else "  slow"
        lines.append(f"{path.stem:28}{seconds:6.0f} s of {allowed:3} s{peak / GIB:7.2f} GiB{slow}")
        if seconds > factor * allowed:
            patience = f"{allowed} s are allowed, {factor:g} times that on a slow machine"
            over.append(f"{path.stem} took {seconds:.0f} s; {patience}")
        if peak > MEMORY:
            over.append(f"{path.stem} took {peak / GIB:.2f} GiB of memory; {MEMORY / GIB:g} are allowed")
    total = sum(cells.seconds.values())
    lines.append(f"{'together':28}{total:6.0f} s of {TOGETHER_SECONDS} s")
    if total > factor * TOGETHER_SECONDS:
        over.append(f"together the notebooks took {total / 60:.0f} min; {TOGETHER_SECONDS // 60} are allowed")
    return lines, over


def check_all_notebooks(paths, factor):
    """Run every notebook, one of them again without its data; return the lines to print and the failures."""
    with MemoryGauge() as memory:
        passed, cells = check_notebooks(paths, memory, factor)
        complete = sorted(itertools.filterfalse(lacks_data, paths), key=lambda path: cells.seconds[path])
        with no_downloads():
            again = list(filter(lacks_data, complete))[:1]
            passed_again = not again or check_notebooks(again, memory, factor)[0]
    lines, failures = weighed(cells, factor)
    failures += [] if passed else ["a cell of a notebook failed"]
    failures += [] if passed_again else [f"{again[0].stem} failed without its data"]
    return [*lines, *(f"{path.stem}: also checked without its data" for path in again)], failures, cells


def main(prefix=None):
    factor = float(os.environ.get("COURSE_TIME_FACTOR", 3))
    prepare(os.environ)
    lines, failures, ran, skipped = [], [], 0, 0
    if not prefix and not check_units():
        failures.append("a unit test, a docstring example or the coverage failed")
    if paths := find(prefix):
        lines, over, cells = check_all_notebooks(paths, factor)
        failures += over
        ran, skipped = cells.ran, cells.skipped
    print("\n".join(["", *lines, *(f"FAILED: {failure}" for failure in failures)]))
    print("all is well" if not failures else f"{len(failures)} failures")
    print(f"real-data cells: {ran} run, {skipped} skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:2]))
    except NotebookFailure as failure:
        sys.exit(str(failure))
