"""The environment check says what to do; TensorFlow starts without a line."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from helpers.course import environment
from helpers.course.environment import Check, Report


@pytest.mark.parametrize(
    ("running", "fine"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)]
)
def test_python_must_be_one_that_tensorflow_supports(running, fine):
    check = environment.check_python(running)
    assert check.fine == fine and ("install Python 3.11 to 3.13" in check.advice) != fine


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "requirements.lock"
    path.write_text(
        "numpy==2.4.0 \\\n    --hash=sha256:00\npandas==3.1 ; python_version < '3'\n# a note == here\n"
    )
    return path


def test_locked_versions_are_required_where_the_marker_fits(lock):
    check = environment.check_packages(lock, ["numpy", "pandas"], {"numpy": "2.4.0", "pandas": "2"}.get)
    assert check.fine and "locked versions" in check.found


def test_another_version_is_named_with_the_locked_one(lock):
    check = environment.check_packages(lock, ["numpy"], lambda name: "1.9")
    assert not check.fine and "numpy 1.9 (locked: 2.4.0)" in check.found and "make setup" in check.advice


def test_a_missing_package_is_named(lock):
    def installed(name):
        raise PackageNotFoundError(name)

    check = environment.check_packages(lock, ["numpy"], installed)
    assert not check.fine and "missing: numpy" in check.found and "restart the kernel" in check.advice


def test_without_a_lock_only_presence_is_checked(tmp_path):
    check = environment.check_packages(tmp_path / "none", ["numpy"])
    assert check.fine and "locked" not in check.found


@pytest.mark.parametrize("check", [environment.check_memory, environment.check_disk])
def test_memory_and_disk_advise_when_short(check):
    assert not check(free=1e6).fine and check(free=1e6).advice
    assert check(free=9e9).fine and not check(free=9e9).advice
    assert check(needed=1).fine


def test_data_at_hand_is_found_and_absent_data_is_fine(tmp_path):
    (tmp_path / "online_retail.csv.gz").touch()
    checks = {check.name: check for check in environment.check_data([tmp_path])}
    assert len(checks) == 5 and all(check.fine for check in checks.values())
    assert checks["data: Online Retail"].found == "at hand"
    assert "download" in checks["data: clothing images"].advice


def test_a_missing_complete_journey_needs_setup(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    check = environment.check_data([])[1]
    assert not check.fine and "make setup" in check.advice


def test_the_report_covers_everything_and_reads_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    (tmp_path / "e-shop clothing 2008.csv.gz").touch()
    report = environment.check_environment()
    assert [check.name for check in report.checks[:4]] == ["Python", "packages", "free memory", "free disk"]
    assert any(check.name.startswith("data: e-shop") and check.found == "at hand" for check in report.checks)


def test_report_reads_as_lines_and_as_an_escaped_table():
    report = Report((Check("a", True, "<3"), Check("b", False, "none", "do this")))
    assert not report.fine and "-> do this" in repr(report) and "Some things need a look" in repr(report)
    assert "&lt;3" in report._repr_html_() and "<em>do this</em>" in report._repr_html_()
    assert repr(Report((Check("a", True, "x"),))).endswith("Ready.")


@pytest.mark.parametrize("gpus", [[], ["gpu"]])
def test_gpus_are_counted_only_on_request(monkeypatch, tmp_path, gpus):
    config = SimpleNamespace(list_physical_devices=lambda kind: gpus)
    monkeypatch.setattr(environment, "quiet_tensorflow", lambda: SimpleNamespace(config=config))
    check = environment.check_environment(tmp_path, gpu=True).checks[-1]
    assert check.name == "GPU" and check.fine and ("1 seen" in check.found) == bool(gpus)


def test_the_import_is_silent_and_the_descriptor_returns(monkeypatch, capfd):
    def noisy(name):
        os.write(2, b"a line of C++\n")
        return name

    monkeypatch.setattr(environment, "import_module", noisy)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    assert environment.quiet_tensorflow() == "tensorflow" and os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"


def test_tensorflow_really_starts_without_a_line():
    code = "from helpers.course.environment import quiet_tensorflow as q; q().constant([1]) + 1"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_peak_memory_counts_megabytes_and_never_falls():
    before = environment.peak_memory()
    block = bytearray(200_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert 10 < before < 100_000 and environment.peak_memory() >= max(before, 200)


@pytest.mark.parametrize("system", ["darwin", "linux"])
def test_peak_memory_knows_the_unit_of_the_system(monkeypatch, system):
    monkeypatch.setattr(environment.sys, "platform", system)
    assert environment.peak_memory() > 0
