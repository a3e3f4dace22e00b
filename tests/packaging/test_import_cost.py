"""`import helpers` is cheap, and a room is imported when it is first named."""

import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import helpers
from helpers._lazy import lazily

ROOMS = sorted(path.parent.name for path in Path(helpers.__file__).parent.glob("*/__init__.py"))
IMPORT = """
import sys, time
start = time.perf_counter()
import helpers
heavy = {"tensorflow", "keras", "pandas", "matplotlib", "numpy"}
print(time.perf_counter() - start, *(sys.modules.keys() & heavy))
"""


def fresh(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_helpers_takes_less_than_a_tenth_of_a_second():
    assert statistics.median(float(fresh(IMPORT)[0]) for _ in range(5)) < 0.1


def test_importing_helpers_loads_no_heavy_library():
    assert fresh(IMPORT)[1:] == []


def test_the_rooms_are_named_by_dir_and_by_the_map():
    assert dir(helpers) == ROOMS
    for room in ROOMS:
        assert f"    {room} " in helpers.__doc__


def test_a_room_and_a_file_arrive_when_they_are_named():
    assert fresh("import helpers; print(helpers.course.exercises.__name__)") == ["helpers.course.exercises"]


def test_a_wrong_name_is_answered_with_the_right_ones():
    with pytest.raises(AttributeError, match="helpers has no 'modles'; it has course, data, .*models"):
        helpers.modles  # noqa: B018


def test_a_private_file_is_not_offered():
    find, names = lazily("helpers", helpers.__path__)
    assert "_lazy" not in names()
    with pytest.raises(AttributeError):
        find("_lazy")
