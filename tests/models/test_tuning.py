"""The search: what it draws and keeps, that it goes on where it was killed, and that workers share one search."""

import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from helpers.models import tuning
from helpers.models.tuning import SearchMismatchError, run_workers, search, sweeps_of, trials_in

FUNCTIONS = """
import os, signal, sys
from pathlib import Path
import keras
sys.path.insert(0, sys.argv[2])
from tuning import search

def space(hp):
    return {"strategy": hp.Choice("strategy", ["fine", "start"]),
            "depth": hp.Int("depth", 1, 3, parent_name="strategy", parent_values=["fine"]),
            "rate": hp.Float("rate", 1e-4, 1e-1, sampling="log")}

def build(settings):
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

def train(model, settings, epochs):
    if len(sys.argv) > 3 and (Path(sys.argv[1]) / "trials" / ("trial_" + sys.argv[3])).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return {"validation": -abs(settings["rate"] - 0.01), "test": settings["rate"]}

search(space, build, train, sys.argv[1], trials=5, epochs=2, seed=0)
"""
FOLDER = str(tuning.__file__).removesuffix("tuning.py")


def space(hp):
    return {"strategy": hp.Choice("strategy", ["fine", "start"]),
            "depth": hp.Int("depth", 1, 3, parent_name="strategy", parent_values=["fine"]),
            "rate": hp.Float("rate", 1e-4, 1e-1, sampling="log")}


def build(settings):
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])


def train(model, settings, epochs):
    """Every epoch adds 1 to the weight, so that the weight counts the epochs of all that went on."""
    model.set_weights([model.get_weights()[0] + epochs, model.get_weights()[1]])
    weight = float(model.get_weights()[0][0, 0])
    return {"validation": -abs(settings["rate"] - 0.01) + weight, "weight": weight}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return search(space, build, train, tmp_path_factory.mktemp("whole"), trials=5, epochs=2)


def test_a_search_keeps_every_trial_with_settings_and_results(whole):
    assert whole["trial"].tolist() == [0, 1, 2, 3, 4] and (whole["epochs"] == 2).all()
    assert (whole["depth"].isna() == (whole["strategy"] == "start")).all()
    assert whole["rate"].between(1e-4, 1e-1).all() and whole["rate"].nunique() == 5


def test_seed_0_is_a_seed_and_neighboring_seeds_share_no_draw(whole, tmp_path):
    again = search(space, build, train, tmp_path / "again", trials=5, epochs=2, seed=0)
    pd.testing.assert_frame_equal(whole, again)
    other = search(space, build, train, tmp_path / "other", trials=5, epochs=2, seed=1)
    assert not set(other["rate"]) & set(whole["rate"])


def test_a_finished_search_is_read_and_may_be_prolonged(whole, tmp_path):
    search(space, build, train, tmp_path, trials=3, epochs=2)
    longer = search(space, build, train, tmp_path, trials=5, epochs=2)
    pd.testing.assert_frame_equal(longer, whole)
    pd.testing.assert_frame_equal(trials_in(tmp_path), whole)


@pytest.mark.parametrize("trial", [0, 2])
def test_an_interrupted_search_goes_on(whole, tmp_path, trial):
    def interrupted(model, settings, epochs):
        if settings["rate"] == whole["rate"][trial]:
            raise KeyboardInterrupt
        return train(model, settings, epochs)

    with pytest.raises(KeyboardInterrupt):
        search(space, build, interrupted, tmp_path, trials=5, epochs=2)
    assert len(list(tmp_path.glob("trials/*/result.json"))) == trial
    pd.testing.assert_frame_equal(search(space, build, train, tmp_path, trials=5, epochs=2), whole)


def test_a_killed_search_goes_on_as_if_nothing_had_happened(whole, tmp_path):
    command = [sys.executable, "-c", FUNCTIONS, str(tmp_path), FOLDER]
    killed = subprocess.run([*command, "2"], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(tmp_path.glob("trials/*/result.json"))) == 2
    subprocess.run(command, check=True, capture_output=True)
    pd.testing.assert_series_equal(trials_in(tmp_path)["rate"], whole["rate"])


def test_hyperband_goes_on_from_the_weights_of_the_shorter_training(tmp_path):
    table = search(space, build, train, tmp_path, method="hyperband", trials=6, epochs=15)
    assert table["epochs"].sum() == 91 and len(table) == 11
    assert sorted(table["weight"]) == [4] * 6 + [15] * 5
    assert sorted(table["epochs"]) == [4] * 6 + [11] * 2 + [15] * 3


def test_bayesian_optimization_draws_first_and_proposes_then(whole, tmp_path):
    table = search(space, build, train, tmp_path, method="bayesian", trials=5, epochs=2)
    same = table["rate"] == whole["rate"]
    assert len(table) == 5 and same[:2].all() and not same[2:].any()


def test_sweeps_come_closest_to_the_budget():
    assert [sweeps_of(budget, 15, 4) for budget in (1, 91, 140, 182)] == [1, 1, 2, 2]
    assert sweeps_of(75, 9, 3) == 1  # 9 + 6 + 6, 15 + 12 and 27 epochs


@pytest.mark.parametrize("change, name", [
    ({"seed": 1}, "seed"), ({"epochs": 3}, "epochs"), ({"method": "bayesian"}, "method"), ({"about": "b"}, "about"),
    ({"space": lambda hp: {"rate": hp.Float("rate", 0, 1)}}, "space"),
])
def test_another_search_is_refused(tmp_path, change, name):
    given = {"space": space, "build": build, "train": train, "folder": tmp_path, "trials": 1, "epochs": 2, "about": "a"}
    search(**given)
    with pytest.raises(SearchMismatchError, match=f"holds another search: its {name} is"):
        search(**{**given, **change})


def test_files_that_were_cut_off_are_refused(tmp_path):
    search(space, build, train, tmp_path, trials=1)
    (path,) = tmp_path.glob("trials/oracle.json")
    path.write_text(path.read_text()[:-10])
    with pytest.raises(SearchMismatchError, match="files that were cut off"):
        search(space, build, train, tmp_path, trials=2)


def test_an_error_in_your_code_is_no_bad_trial(tmp_path, capsys):
    with pytest.raises(RuntimeError, match="trial 0 with .*rate.*: ZeroDivisionError"):
        search(space, build, lambda *given: {"validation": 1 / 0}, tmp_path, trials=2)
    with pytest.raises(RuntimeError, match=r"returned \['loss'\], without the score"):
        search(space, build, lambda *given: {"loss": 1.0}, tmp_path, trials=2)
    with pytest.raises(FileNotFoundError, match="no finished trial"):
        trials_in(tmp_path)
    assert len(search(space, build, train, tmp_path, trials=2)) == 2
    assert capsys.readouterr().out == ""


def test_a_training_that_diverges_is_a_failed_trial(tmp_path):
    table = search(space, build, lambda *given: {"validation": np.nan}, tmp_path, trials=5)
    assert (table["status"] == "FAILED").all() and table["validation"].isna().all()


@pytest.mark.parametrize("given, message", [
    ({"method": "grid"}, "method must be one of"), ({"trials": 0}, "trials must be at least 1"),
    ({"epochs": 0}, "epochs must"), ({"seed": -1}, "seed must"), ({"factor": 1}, "factor must be at least 2"),
])
def test_arguments_out_of_range_are_refused(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        search(space, build, train, tmp_path, **given)


def test_two_workers_share_one_search(whole, tmp_path):
    run_workers([sys.executable, "-c", FUNCTIONS, str(tmp_path), FOLDER], workers=2, timeout=300)
    table = trials_in(tmp_path)
    assert set(table["worker"]) <= {"worker0", "worker1"}
    pd.testing.assert_series_equal(table["rate"], whole["rate"])
    assert json.loads((tmp_path / "search.json").read_text())["seed"] == 0


def test_a_worker_that_fails_stops_all_and_says_why():
    code = "import os, sys, time; who = os.environ['KERASTUNER_TUNER_ID']; who == 'chief' and time.sleep(60); sys.exit(who)"
    with pytest.raises(RuntimeError, match="worker. ended with 1: worker"):
        run_workers([sys.executable, "-c", code])


def test_workers_that_take_too_long_are_stopped():
    with pytest.raises(TimeoutError, match="took more than 0.3 s"):
        run_workers([sys.executable, "-c", "import time; time.sleep(60)"], workers=1, timeout=0.3)


def test_one_worker_at_least():
    with pytest.raises(ValueError, match="at least 1; found 0"):
        run_workers(["python"], workers=0)


def test_this_process_is_no_worker():
    assert "KERASTUNER_TUNER_ID" not in os.environ
