import importlib.util
import itertools
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.evaluation import evidence
from helpers.evaluation.evidence import (
    Row, StaleTableError, assert_reproduced, fingerprint, group_difference, paired_difference, read_table,
    run_table, sample_rows)

GRID = [{"method": "scratch", "fraction": 0.5, "seed": 0}, {"method": "scratch", "fraction": 1.0, "seed": 0},
        {"method": "tuned", "fraction": 1.0, "seed": 0, "layers": 2}]

EVERY_SYNTAX = r'''"""Module docstring."""
LIMITS = {"a": 1, **{"b": -2.5e-7}, 'c': b"\x00x", "d": 1j, "é": ..., 1e400: None}

class Thing(object, metaclass=type):
    """A docstring."""
    size: int = 3

    async def run(self, /, x, *rest, y=None, **more) -> "Thing":
        """A docstring."""
        async with x as y, x:
            return [i async for i in x if i > 1]

@property
def described(value, width=3):
    """A docstring."""
    text = f"a {value!r:>{width}} {value=} {{x}} {value:}" "b" f"{'q'}c" f''
    match value:
        case {"a": [1, *others], **rest} | Thing(size=2) as found if others:
            raise ValueError(text) from None
        case _:
            del rest[0:1, ...]
    try:
        lambda a, *, b=1: (yield a)
    except* (OSError, ValueError) as error:
        global other
    return (n := 10) if not value < 3 <= 4 else rf"\d{n}"
'''


def run_one(method, fraction, seed, layers=1):
    return {"score": fraction / 3 + seed, "name": method, "good": fraction > 0.7}


@pytest.fixture
def module(tmp_path):
    """A function that turns source text into an imported module."""
    numbers = itertools.count()

    def load(source) -> ModuleType:
        path = tmp_path / f"code_{next(numbers)}.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("code_under_test", path)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded
    return load


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "table.csv"


# Seeds and intervals


def test_over_seeds_keeps_every_row_of_every_seed():
    table = evidence.over_seeds(lambda seed: [{"k": k, "hit": seed * k} for k in (1, 5)], [3, 4])
    assert table.columns.tolist() == ["seed", "k", "hit"]
    assert table.to_numpy().tolist() == [[3, 1, 3], [3, 5, 15], [4, 1, 4], [4, 5, 20]]


def test_label_efficiency_runs_the_whole_grid():
    table = evidence.label_efficiency(lambda method, fraction, seed: {"score": len(method) * fraction + seed},
                                      [0.1, 1.0], [0, 1], ["scratch", "frozen"])
    assert len(table) == 8 and table.columns.tolist() == ["method", "fraction", "seed", "score"]
    row = table.query("method == 'frozen' and fraction == 0.1 and seed == 1")
    assert row["score"].item() == pytest.approx(1.6)


def test_t_interval_equals_scipy():
    a, b = np.random.default_rng(0).normal(size=(2, 8))
    interval = paired_difference(a, b, confidence=0.9)
    expected = stats.ttest_rel(a, b).confidence_interval(0.9)
    assert np.allclose([interval.low, interval.high], [expected.low, expected.high])
    assert interval.mean == pytest.approx((a - b).mean()) and interval.n == 8


def test_bootstrap_interval_agrees_with_scipy():
    a, b = np.random.default_rng(0).normal(size=(2, 40))
    interval = paired_difference(a, b, method="bootstrap")
    expected = stats.bootstrap(((a - b),), np.mean, method="percentile", rng=1).confidence_interval
    assert np.allclose([interval.low, interval.high], [expected.low, expected.high], atol=0.03)
    assert interval == paired_difference(a, b, method="bootstrap")


def test_resampling_groups_widens_the_interval_when_events_of_a_group_agree():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 20)
    hits = rng.normal(size=30)[groups]
    by_user, by_event = group_difference(hits, 0, groups), group_difference(hits, 0, np.arange(600))
    assert by_user.high - by_user.low > 3 * (by_event.high - by_event.low)
    assert by_user.mean == pytest.approx(by_event.mean) and (by_user.n, by_event.n) == (30, 600)


def test_group_interval_of_uneven_groups_covers_the_mean_over_events():
    groups = np.repeat(np.arange(12), np.arange(1, 13))
    hits = np.random.default_rng(1).random(len(groups))
    interval = group_difference(hits, hits / 2, [f"user {group}" for group in groups])
    assert interval.low < (hits / 2).mean() < interval.high


def test_excludes_zero_on_either_side_only():
    assert paired_difference([2.0, 2.1, 2.2], [1, 1, 1]).excludes_zero
    assert paired_difference([1, 1, 1], [2.0, 2.1, 2.2]).excludes_zero
    assert not paired_difference([1, 2, 3], [3, 2, 1]).excludes_zero


def test_percent_of_limit_of_arrays():
    percents = evidence.percent_of_limit([0.1, 0.3], popularity=[0.1, 0.2], oracle=0.3)
    assert np.allclose(percents, [0, 100])


def test_choose_takes_the_first_of_equals_and_single_scores():
    assert evidence.choose({"frozen": 0.3, "tuned": 0.3, "scratch": 0.1}) == "frozen"


def test_a_difference_reads_as_mean_interval_and_size():
    assert str(evidence.Difference(0.0571, 0.0191, 0.0951, 3, 0.9)) == "+0.057 [+0.019, +0.095] (90%, n = 3)"


# Fingerprints


def test_fingerprint_ignores_prose_layout_and_the_order_of_keys(module):
    bare = module("def run(x):\n    return {'y': x + 1}\n")
    told = module('"""About."""\n\ndef run( x ):\n    """Adds.\n\n    One."""\n    # plus one\n'
                  '    return {"y": (x + 1)}\n')
    assert fingerprint({"a": 1, "b": (2, 0.5)}, bare) == fingerprint({"b": [2, 0.5], "a": np.int64(1)}, told)
    assert fingerprint({}, bare.run) == fingerprint({}, told.run)


def test_fingerprint_sees_every_change_of_code_or_settings(module):
    results = ["x + 1", "x + 2", "x - 1", "x + 1.0", "'docs'", "f'{x}'", "f'{x!r}'"]
    sources = [f"def run(x):\n    return {result}" for result in results]
    sources += ["def run(x):\n    'docs'", "def run(x=0):\n    return x + 1"]
    marks = [fingerprint({"a": 1}, module(source)) for source in sources]
    marks += [fingerprint(settings, module(sources[0]))
              for settings in ({"a": 2}, {"a": "1"}, {"b": 1}, {"a": True})]
    assert len(set(marks)) == len(marks)


def test_fingerprint_does_not_depend_on_the_order_or_repetition_of_code(module):
    one, two = module("A = 1"), module("B = 2")
    assert fingerprint({}, one, two) == fingerprint({}, two, one, two) != fingerprint({}, one)


def test_fingerprint_is_the_same_in_every_version_of_python(monkeypatch):
    monkeypatch.setattr(evidence.inspect, "getsource", lambda piece: EVERY_SYNTAX)
    assert fingerprint({"a": 1}, None) == "6f69c56b20545633"  # as 3.11, 3.12 and 3.13 give it


def test_code_without_source_is_refused():
    with pytest.raises(TypeError, match="source of <built-in function len> cannot be read"):
        fingerprint({}, len)


@pytest.mark.parametrize("value, error", [(object(), TypeError), (np.nan, ValueError), (np.inf, ValueError)])
def test_settings_that_are_no_json_are_named(value, error):
    with pytest.raises(error, match="settings .* cannot be written as JSON"):
        fingerprint({"value": value})


# Tables


def test_a_table_keeps_settings_results_and_provenance(path):
    table = run_table(path, GRID, run_one, progress=None)
    assert table["score"].tolist() == [0.5 / 3, 1 / 3, 1 / 3]
    assert table["layers"].fillna(0).tolist() == [0, 0, 2] and table["good"].tolist() == [False, True, True]
    assert table["numpy"].eq(np.__version__).all() and table["fingerprint"].is_unique
    assert table.columns.tolist()[-7:] == evidence.PROVENANCE
    pd.testing.assert_frame_equal(table, read_table(path, GRID, run_one))


def test_an_interrupted_run_resumes_and_leaves_finished_rows_to_the_letter(path):
    calls = []

    def experiment(seed):
        calls.append(seed)
        if calls == [0, 1]:
            raise KeyboardInterrupt
        return {"score": seed / 7}

    with pytest.raises(KeyboardInterrupt):
        run_table(path, [{"seed": seed} for seed in range(3)], experiment, progress=None)
    first_row = path.read_text().splitlines()[1]
    lines = []
    table = run_table(path, [{"seed": seed} for seed in range(3)], experiment, progress=lines.append)
    assert calls == [0, 1, 1, 2] and path.read_text().splitlines()[1] == first_row
    assert [line.split("  ")[:2] for line in lines] == [["2/3", "seed=1"], ["3/3", "seed=2"]]
    assert table["score"].tolist() == [0, 1 / 7, 2 / 7]
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


def test_a_failed_write_leaves_the_old_table_and_no_litter(path, monkeypatch):
    run_table(path, GRID[:1], run_one, progress=None)
    before = path.read_bytes()
    monkeypatch.setattr(evidence.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        run_table(path, GRID[:2], run_one, progress=None)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_rows_follow_the_settings_whatever_the_order_of_the_runs(path):
    run_table(path, GRID[1:], run_one, progress=None)
    assert run_table(path, GRID, run_one, progress=None)["fraction"].tolist() == [0.5, 1, 1]


def test_changed_code_makes_a_table_stale_and_run_table_makes_it_anew(path, module):
    old, new = (module(f"def run(seed):\n    return {{'score': seed + {shift}}}") for shift in (1, 2))
    run_table(path, [{"seed": 0}], run_one_of, code=[old.run], progress=None)
    message = r"1 of 1 rows are missing \(first: \[{'seed': 0}\]\), 1 are repeated"
    with pytest.raises(StaleTableError, match=message):
        read_table(path, [{"seed": 0}], run_one_of, code=[new.run])
    lines = []
    run_table(path, [{"seed": 0}], run_one_of, code=[new.run], progress=lines.append)
    assert lines[0].startswith("1 rows of other settings or older code leave")
    assert len(read_table(path, [{"seed": 0}], run_one_of, code=[new.run])) == 1


@pytest.fixture
def stale(path, module):
    """Measure a table of three rows, and change the code: call it with the new expression of `seed`."""
    versions = {text: module(f"def run(seed):\n    return {{'score': {text}}}").run
                for text in ("seed / 7", "1 / 7 * seed", "seed / 7 + (seed == 2)")}
    settings = [{"seed": seed} for seed in range(3)]
    run_table(path, settings, versions["seed / 7"], progress=None)
    return lambda text: (path, settings, versions[text])


def test_code_that_changes_no_number_adopts_a_table(path, stale):
    before, lines = evidence._rows_in(path), []
    table = evidence.adopt_table(*stale("1 / 7 * seed"), n=2, progress=lines.append)
    pd.testing.assert_frame_equal(table, read_table(*stale("1 / 7 * seed")))
    assert len(lines) == 2 and set(before).isdisjoint(table["fingerprint"])
    assert table["score"].tolist() == [0, 1 / 7, 2 / 7]
    assert evidence.adopt_table(*stale("1 / 7 * seed"), progress=lines.append).equals(table)
    assert len(lines) == 2  # nothing was stale any more


def test_a_table_is_not_adopted_where_a_number_differs_or_a_row_is_of_other_settings(path, stale):
    before = path.read_bytes()
    with pytest.raises(AssertionError, match="'seed': 2} was not reproduced: score was 0.28.*, is 1.28"):
        evidence.adopt_table(*stale("seed / 7 + (seed == 2)"), n=3, progress=None)
    _, settings, function = stale("1 / 7 * seed")
    with pytest.raises(StaleTableError, match="rows are missing"):
        evidence.adopt_table(path, [*settings, {"seed": 3}], function, progress=None)
    assert path.read_bytes() == before


def run_one_of(seed):
    return {"score": seed}


LIBRARY = """'''About.'''
import math as m
STEP, unused = 1, 2
LEARNERS: dict = {"plus": lambda x: add(x)}

def measure(seed):
    return {"score": LEARNERS["plus"](seed)}

def add(x):
    return m.floor(x) + STEP

def other(x):
    return x
"""


@pytest.mark.parametrize("old, new, stale", [
    ("STEP, unused = 1", "STEP, unused = 3", True),
    ("m.floor", "m.ceil", True),
    ("math as m", "cmath as m", True),
    ("math as m", "math as m, cmath", False),
    ('"plus": lambda x: add(x)', '"plus": lambda x: add(x + 1)', True),
    ("STEP, unused", "assert m\nSTEP, unused", True),  # a statement that binds no name always counts
    ("return x\n", "return -x\n", False),
    ("def other", "def another", False),
    ("About.", "About it.", False),
])
def test_of_a_module_counts_what_the_function_reaches(path, module, old, new, stale):
    assert LIBRARY.count(old) == 1
    before, after = module(LIBRARY), module(LIBRARY.replace(old, new))
    run_table(path, [{"seed": 0}], before.measure, code=[before], progress=None)
    if stale:
        with pytest.raises(StaleTableError):
            read_table(path, [{"seed": 0}], after.measure, code=[after])
    else:
        assert read_table(path, [{"seed": 0}], after.measure, code=[after])["score"].item() == 1


def test_missing_extra_and_repeated_rows_are_refused(path):
    run_table(path, GRID[:2], run_one, progress=None)
    with pytest.raises(StaleTableError, match="1 of 3 rows are missing"):
        read_table(path, GRID, run_one)
    with pytest.raises(StaleTableError, match="0 of 1 rows are missing .* 1 are repeated"):
        read_table(path, GRID[:1], run_one)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-1]]))
    with pytest.raises(StaleTableError, match="0 of 2 rows are missing .* 1 are repeated"):
        read_table(path, GRID[:2], run_one)


def test_a_table_that_is_not_ours_is_refused(path):
    path.parent.mkdir()
    path.write_text("seed,score\n1,2\n")
    with pytest.raises(ValueError, match="no column 'seconds'"):
        read_table(path, GRID, run_one)


def test_sampled_rows_can_be_run_again_and_agree(path):
    table = run_table(path, GRID, run_one, progress=None)
    rows = sample_rows(table, n=9, seed=0)
    assert len(rows) == 3 and all(settings in [row.settings for row in rows] for settings in GRID)
    for row in rows:
        assert "layers" not in row.results
        assert_reproduced(row, run_one(**row.settings), tolerance=1e-12)


def test_slow_rows_are_not_sampled_and_the_draw_follows_the_seed(path):
    table = run_table(path, [{"seed": seed} for seed in range(20)], run_one_of, progress=None)
    table["seconds"] = table["seed"].astype(float)
    samples = [sample_rows(table, 3, seed, max_seconds=10) for seed in range(9)]
    drawn = [[row.settings["seed"] for row in rows] for rows in samples]
    assert max(map(max, drawn)) < 10 and len({tuple(seeds) for seeds in drawn}) > 1
    assert sample_rows(table, 3, seed=5) == sample_rows(table, 3, seed=5)


def test_reproduction_names_each_result_that_differs():
    row = Row({"seed": 1}, {"score": 0.5, "name": "a", "flag": True}, 1.0)
    assert_reproduced(row, {"score": 0.55, "name": "a", "flag": np.True_, "gone": None}, tolerance=0.1)
    message = "score was 0.5, is 0.7 .* name was a, is b .* flag was True, is None"
    with pytest.raises(AssertionError, match=message):
        assert_reproduced(row, {"score": 0.7, "name": "b"}, tolerance=0.1)
    with pytest.raises(AssertionError, match="new was None, is 3"):
        assert_reproduced(row, {**row.results, "new": 3}, tolerance=0.1)


def test_a_dict_of_tolerances_compares_those_results_only():
    row = Row({}, {"score": 0.5, "epochs": 7}, 1.0)
    assert_reproduced(row, {"score": 0.5, "epochs": 9}, tolerance={"score": 0})
    with pytest.raises(AssertionError, match="no result called 'scor'"):
        assert_reproduced(row, {"score": 0.5}, tolerance={"scor": 1})


@pytest.mark.parametrize("call, error, message", [
    (lambda: evidence.over_seeds(run_one_of, []), ValueError, "seeds are"),
    (lambda: evidence.over_seeds(run_one_of, [1, 1]), ValueError, "each once"),
    (lambda: evidence.over_seeds(lambda seed: 3, [1]), TypeError, "returned int"),
    (lambda: evidence.over_seeds(lambda seed: [3], [1]), TypeError, "returned list"),
    (lambda: evidence.over_seeds(lambda seed: {"seed": 3}, [1]), ValueError, "called 'seed'"),
    (lambda: evidence.label_efficiency(run_one, [0], [1], ["a"]), ValueError, "fractions hold 0"),
    (lambda: evidence.label_efficiency(run_one, [1], [1], ["a", "a"]), ValueError, "methods are"),
    (lambda: paired_difference([1], [1]), ValueError, "at least two"),
    (lambda: paired_difference([1, 2], [1, 2, 3]), ValueError, "shape"),
    (lambda: paired_difference([1, np.nan], [1, 2]), ValueError, "missing"),
    (lambda: paired_difference([1, 2], [1, 2], method="z"), ValueError, "'t' or 'bootstrap'"),
    (lambda: paired_difference([1, 2], [1, 2], confidence=95), ValueError, "confidence is 95"),
    (lambda: group_difference([1, 2], 0, ["u", "u"]), ValueError, "one group"),
    (lambda: group_difference([1, 2], 0, ["u", None]), ValueError, "missing value"),
    (lambda: group_difference([1, 2], 0, ["u"]), ValueError, "groups have shape"),
    (lambda: evidence.percent_of_limit(1, 2, 2), ValueError, "not above popularity"),
    (lambda: evidence.percent_of_limit(np.nan, 1, 2), ValueError, "score is missing"),
    (lambda: evidence.choose({}), ValueError, "empty"),
    (lambda: evidence.choose({"a": [1, 2], "b": [1]}), ValueError, "uneven"),
    (lambda: evidence.choose({"a": np.nan}), ValueError, "NaN"),
    (lambda: run_table("t.csv", [], run_one_of), ValueError, "0 settings"),
    (lambda: run_table("t.csv", [{"seed": 1}, {"seed": 1.0}], run_one_of), ValueError, "1 of them"),
    (lambda: run_table("t.csv", [{"seed": 1}], returns_a_number, progress=None), TypeError, "returned int"),
    (lambda: run_table("t.csv", [{"seed": 1}], returns_seconds, progress=None), ValueError, "called .sec"),
    (lambda: read_table("absent.csv", [{"seed": 1}], run_one_of), FileNotFoundError, "runs 1 settings"),
    (lambda: sample_rows(pd.DataFrame({"seconds": [50.0]}), 1, 0), ValueError, "0 of 1 rows"),
    (lambda: sample_rows(pd.DataFrame({"seconds": [5.0]}), 0, 0), ValueError, "n is 0"),
])
def test_bad_input_is_named(call, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        call()
    assert not list(tmp_path.iterdir())


def returns_a_number(seed):
    return seed


def returns_seconds(seed):
    return {"seconds": seed}
