"""What makes a number believable: seeds, intervals, a yardstick, and a table that can be repeated.

An experiment larger than a notebook keeps its results in a CSV file, one row to each choice of settings:

    table = (run_table if FULL else read_table)(PATH, grid, run_one, code=[sequence, transfer])
    for row in sample_rows(table, n=2, seed=SEED):
        assert_reproduced(row, run_one(**row.settings), tolerance=0.02)

`grid` is a list of dicts, `run_one(**settings)` returns a dict of results. `code` lists what else the results
depend on; of a module counts what `run_one` reaches by name, step by step. Every row carries a fingerprint of its
settings and of that code, and `read_table` refuses a table that the code no longer produces.
"""

import ast
import hashlib
import inspect
import json
import os
import platform
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

_MARKS = ("ctx", "kind", "type_comment")  # parts of a syntax tree that no result depends on
PROVENANCE = ["seconds", "python", "numpy", "keras", "date", "settings", "fingerprint"]


class StaleTableError(ValueError):
    """A results table that the given settings and code do not produce."""


# Seeds ------------------------------------------------------------------------------------------------------


def over_seeds(function, seeds) -> pd.DataFrame:
    """Run an experiment once a seed and gather the results in a tidy table.

    Args:
        function: function(seed) -> dict, or a list of dicts for several rows.
        seeds: distinct seeds, at least one.

    Returns:
        One row to each dict, with the column `seed` first.

    Raises:
        ValueError: if seeds are missing or repeated, or if a result names itself `seed`.
        TypeError: if the function returns anything else.

    Example:
        >>> over_seeds(lambda seed: {"score": seed / 10}, seeds=[1, 2]).to_dict("list")
        {'seed': [1, 2], 'score': [0.1, 0.2]}
    """
    tables = [_tidy({"seed": seed}, function(seed)) for seed in _distinct(seeds, "seeds")]
    return pd.concat(tables, ignore_index=True)


def label_efficiency(function, fractions, seeds, methods) -> pd.DataFrame:
    """Run every method at every share of the labels with every seed: the curve that transfer is judged by.

    Args:
        function: function(method, fraction, seed) -> dict, or a list of dicts.
        fractions: distinct shares of the target's labels, in (0, 1].
        seeds: distinct seeds; a seed is shared by all methods, so that differences are paired.
        methods: distinct names.

    Returns:
        A tidy table with the columns method, fraction, seed, and those of the results.

    Raises:
        ValueError, TypeError: as `over_seeds`; ValueError too if a fraction is not in (0, 1].

    Example:
        >>> def run_one(method, fraction, seed):
        ...     return {"score": fraction}
        >>> label_efficiency(run_one, fractions=[0.1, 1], seeds=[0], methods=["scratch"]).to_dict("list")
        {'method': ['scratch', 'scratch'], 'fraction': [0.1, 1.0], 'seed': [0, 0], 'score': [0.1, 1.0]}
    """
    seeds, fractions = _distinct(seeds, "seeds"), _distinct(fractions, "fractions")
    if wrong := [fraction for fraction in fractions if not 0 < fraction <= 1]:
        raise ValueError(f"fractions hold {wrong[0]}: expected shares in (0, 1].")
    settings = [{"method": method, "fraction": fraction, "seed": seed}
                for method in _distinct(methods, "methods") for fraction in fractions for seed in seeds]
    return pd.concat([_tidy(setting, function(**setting)) for setting in settings], ignore_index=True)


# Intervals --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """A mean difference with its confidence interval; n counts what was resampled or paired."""

    mean: float
    low: float
    high: float
    n: int
    confidence: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def __str__(self):
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}] ({self.confidence:.0%}, n = {self.n})"


def paired_difference(a, b, confidence=0.95, method="t", seed=0, draws=10_000) -> Difference:
    """Mean of a - b over pairs that share a seed, with a confidence interval.

    Args:
        a: (n,) scores, one a seed; n of at least 2.
        b: (n,) scores of the same seeds, in the same order.
        confidence: in (0, 1).
        method: "t" for Student's interval, the choice for few pairs; "bootstrap" for percentiles of resampled
            means, which are too narrow below about 20 pairs.
        seed: of the bootstrap.
        draws: of the bootstrap.

    Raises:
        ValueError: if there are fewer than two pairs, shapes differ, a number is missing, or an option is
            unknown.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 12 and 13.

    Example:
        >>> print(paired_difference([0.61, 0.64, 0.60], [0.55, 0.57, 0.56]))
        +0.057 [+0.019, +0.095] (95%, n = 3)
    """
    differences = _differences(a, b)
    n, mean = len(differences), float(differences.mean())
    if method == "t":
        half = stats.t.ppf(_upper(confidence), n - 1) * differences.std(ddof=1) / np.sqrt(n)
        return Difference(mean, float(mean - half), float(mean + half), n, confidence)
    if method == "bootstrap":
        return group_difference(differences, 0, np.arange(n), confidence, seed, draws)
    raise ValueError(f"method is {method!r}: expected 't' or 'bootstrap'.")


def group_difference(a, b, groups, confidence=0.95, seed=0, draws=2_000) -> Difference:
    """Mean of a - b over events, with an interval from resampling whole users or sessions.

    Events of one user resemble each other, so an interval that resamples events is too narrow.

    Args:
        a: (m,) one number to each event, for instance a hit (0 or 1) of a model.
        b: (m,) numbers of the other model on the same events; or 0 for an interval of the mean of a itself.
        groups: (m,) the user or session of each event; at least two distinct.
        confidence: in (0, 1).
        seed: of the bootstrap.
        draws: number of resamples, percentile interval.

    Returns:
        Difference, with n the number of groups.

    Raises:
        ValueError: if shapes differ, a number or group is missing, or there are fewer than two groups.

    Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8 (hierarchical
    data).

    Example:
        >>> print(group_difference([1, 1, 0, 1, 1], [0, 0, 0, 0, 1], groups=["u", "u", "v", "v", "w"]))
        +0.600 [+0.000, +1.000] (95%, n = 3)
    """
    differences = _differences(a, b)
    codes, names = pd.factorize(np.asarray(groups))
    if codes.shape != differences.shape or (codes < 0).any():
        raise ValueError(f"groups have shape {codes.shape} or hold a missing value: expected "
                         f"{differences.shape}, the user or session of each event.")
    if len(names) < 2:
        raise ValueError("All events belong to one group: expected at least two users or sessions to "
                         "resample.")
    sums, sizes = np.bincount(codes, differences), np.bincount(codes)
    random = np.random.default_rng(seed)
    drawn = (random.integers(len(names), size=len(names)) for _ in range(draws))
    means = [sums[group].sum() / sizes[group].sum() for group in drawn]
    low, high = np.quantile(means, [1 - _upper(confidence), _upper(confidence)])
    return Difference(float(differences.mean()), float(low), float(high), len(names), confidence)


# Yardsticks -------------------------------------------------------------------------------------------------


def percent_of_limit(model, popularity, oracle):
    """How much of what can be learned was learned: 100 * (model - popularity) / (oracle - popularity).

    Below 0 is worse than popularity. Where lower is better (a loss), pass the negatives.

    Args:
        model: a score, or an array of scores; higher is better.
        popularity: the score of popularity on the same events.
        oracle: the highest score that any model can reach on them.

    Raises:
        ValueError: if an oracle is not above its popularity, or a number is missing.

    Example:
        >>> percent_of_limit(0.25, popularity=0.125, oracle=0.375)
        50.0
    """
    model, popularity, oracle = (np.asarray(score, np.float64) for score in (model, popularity, oracle))
    if np.isnan(model).any() or not (oracle > popularity).all():
        raise ValueError(
            f"oracle {oracle} is not above popularity {popularity}, or a score is missing: expected scores "
            "of the same events where higher is better (for a loss pass the negatives).")
    percent = 100 * (model - popularity) / (oracle - popularity)
    return percent if percent.ndim else float(percent)


def choose(validation_scores):
    """Pick the strategy with the highest mean score on validation data; of equals the first named.

    List the simplest strategy first. Report its score on test data that had no part in the choice.

    Args:
        validation_scores: mapping from a strategy to its score, or to one score a seed (as many for each).

    Raises:
        ValueError: if there is no strategy, a score is missing, or strategies have different numbers of
            scores.

    Example:
        >>> choose({"frozen": [0.30, 0.32], "fine-tuned": [0.33, 0.31], "scratch": [0.28, 0.30]})
        'fine-tuned'
    """
    scores = {name: np.atleast_1d(np.asarray(score, np.float64)) for name, score in validation_scores.items()}
    even = len({len(score) for score in scores.values()}) == 1
    if not even or any(np.isnan(score).any() for score in scores.values()):
        raise ValueError("validation_scores are empty, uneven or hold NaN: expected as many scores for each "
                         "strategy.")
    return max(scores, key=lambda name: scores[name].mean())


# A table of results that can be repeated --------------------------------------------------------------------


def fingerprint(settings, *code) -> str:
    """Hash of settings and of the code that turns them into results.

    The code is hashed as its syntax tree without docstrings and positions, so comments, layout and prose may
    change freely. The tree is written out by this file and not by `ast.unparse` or `ast.dump`, whose text
    varies with the version of Python: fields that are empty are left out, as a version that does not know
    them would do.

    Args:
        settings: dict of JSON values (NumPy scalars too); keys in any order, and 1.0 equals 1.
        code: functions, classes or modules, in any order. What these call is hashed only if it is listed too;
            values that they read from outside belong into the settings.

    Returns:
        16 hexadecimal digits.

    Raises:
        TypeError: if a setting is no JSON value, or a piece of code has no source that can be read.
        ValueError: if a setting is infinite or NaN.

    Example:
        >>> mark = fingerprint({"units": 64, "seed": 1}, textwrap.dedent)
        >>> mark == fingerprint({"seed": 1.0, "units": 64}, textwrap.dedent)
        True
    """
    return _combine(_to_json(settings), _code_digest(code))


def run_table(path, settings, function, code=(), progress=print) -> pd.DataFrame:
    """Run a function over many settings and keep the results in a CSV file, resuming where it stopped.

    A row whose fingerprint is in the file already is not run again. Every finished row is written at once and
    atomically, so an interruption costs one row. Rows of other settings or of older code leave the file.

    Args:
        path: the CSV file; its folder is created.
        settings: list of distinct dicts of JSON values.
        function: function(**settings) -> dict of results (numbers, strings, booleans).
        code: functions and classes that the results depend on, besides the function itself, and modules: of a
            module counts each statement whose name the function mentions, or a statement that counts already.
            What is looked up by a string (`getattr`) must be listed.
        progress: called with one line of text a row; None for silence.

    Returns:
        The table as `read_table` reads it: columns of settings, results and `PROVENANCE`, rows in the order
        of `settings`.

    Raises:
        ValueError: if settings repeat or a result takes the name of a setting or of a `PROVENANCE` column.
        TypeError: as `fingerprint`, or if the function returns no dict.

    Example:
        >>> import tempfile
        >>> def run_one(seed):
        ...     return {"score": seed / 10}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "results.csv"
        ...     table = run_table(path, [{"seed": 1}, {"seed": 2}], run_one, progress=None)
        >>> table[["seed", "score"]].to_dict("list")
        {'seed': [1, 2], 'score': [0.1, 0.2]}
    """
    wanted = _fingerprints(settings, function, code)
    found = _rows_in(path)
    rows = {mark: found[mark] for mark in wanted if mark in found}
    if progress and len(rows) < len(found):
        progress(f"{len(found) - len(rows)} rows of other settings or older code leave {path}")
    for number, (mark, setting) in enumerate(wanted.items(), start=1):
        if mark not in rows:
            rows[mark] = _run(function, setting) | {"fingerprint": mark}
            _write(path, [rows[mark] for mark in wanted if mark in rows])
            if progress:
                described = ", ".join(f"{name}={value}" for name, value in setting.items())
                progress(f"{number}/{len(wanted)}  {described}  {rows[mark]['seconds']:.1f} s")
    _write(path, [rows[mark] for mark in wanted])
    return read_table(path, settings, function, code)


def read_table(path, settings, function, code=()) -> pd.DataFrame:
    """Read a table of results, and refuse it if these settings and this code do not produce it.

    Args:
        path, settings, function, code: as given to `run_table`; nothing is run.

    Returns:
        The table, rows in the order of `settings`.

    Raises:
        FileNotFoundError: if there is no table yet.
        StaleTableError: if rows are missing, or were made by other settings or other code; it says which.

    Example:
        >>> read_table("nowhere.csv", [{"seed": 1}], lambda seed: {})
        Traceback (most recent call last):
        FileNotFoundError: nowhere.csv does not exist: make it with run_table, which runs 1 settings.
    """
    return _read_current(path, settings, function, code)


def adopt_table(path, settings, function, code=(), n=2, seed=0, progress=print) -> pd.DataFrame:
    """Keep a table whose code was changed without changing a number, as a sample shows that is measured again.

    Some stale rows, drawn at random, are measured with the code as it is now. Only where each result equals the
    table's to the last digit does every row get the new fingerprint; the others keep the date on which they were
    measured. Where a result differs, the file stays as it was.

    Args:
        path, settings, function, code, progress: as given to `run_table`.
        n: number of rows to measure again; all if fewer are stale.
        seed: of the draw.

    Returns:
        The table as `read_table` reads it.

    Raises:
        FileNotFoundError: if there is no table yet.
        StaleTableError: if the rows are not those of these settings.
        AssertionError: if a result is not what it was; it names the row.

    Example:
        >>> import tempfile
        >>> def slow(n):
        ...     return {"total": sum(range(n))}
        >>> def fast(n):
        ...     return {"total": n * (n - 1) // 2}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "results.csv"
        ...     _ = run_table(path, [{"n": 5}, {"n": 9}], slow, progress=None)
        ...     adopt_table(path, [{"n": 5}, {"n": 9}], fast, n=1, progress=None)["total"].tolist()
        [10, 36]
    """
    try:
        return _read_current(path, settings, function, code)
    except StaleTableError as error:
        wanted, kept = _fingerprints(settings, function, code), _read(path).set_index("settings", drop=False)
        if not kept.index.is_unique or set(kept.index) != set(map(_to_json, settings)):
            raise error
    stale = kept[~kept["fingerprint"].isin(wanted)]
    fresh = {}
    for row in sample_rows(stale, n, seed, max_seconds=np.inf):
        result = _run(function, row.settings)
        assert_reproduced(row, {name: value for name, value in result.items()
                                if name not in {*row.settings, *PROVENANCE}}, tolerance=0)
        fresh[result["settings"]] = result
        if progress:
            progress(f"{path}: {result['settings']} comes out as it was, {result['seconds']:.1f} s")
    old = {record["settings"]: record for record in _rows_in(path).values()}
    rows = {mark: _to_json(setting) for mark, setting in wanted.items()}
    _write(path, [fresh.get(name, old[name]) | {"fingerprint": mark} for mark, name in rows.items()])
    return _read_current(path, settings, function, code)


@dataclass(frozen=True)
class Row:
    """One row of a table of results."""

    settings: dict
    results: dict
    seconds: float


def sample_rows(table, n, seed, max_seconds=10) -> list[Row]:
    """Draw rows at random, to be repeated live, from all that took less than `max_seconds`.

    Args:
        table: from `run_table` or `read_table`.
        n: number of rows; all that qualify if there are fewer.
        seed: of the draw.
        max_seconds: rows that took as long or longer are left out.

    Returns:
        List of Row, each with its settings as JSON keeps them (lists for tuples, 1 for 1.0).

    Raises:
        ValueError: if n < 1 or no row qualifies.

    Example:
        >>> table = pd.DataFrame({"units": [8, 64], "score": [0.5, 0.6], "seconds": [2.0, 60.0],
        ...                       "settings": ['{"units": 8}', '{"units": 64}']})
        >>> sample_rows(table, n=1, seed=0)
        [Row(settings={'units': 8}, results={'score': 0.5}, seconds=2.0)]
    """
    quick = table[table["seconds"] < max_seconds]
    if n < 1 or quick.empty:
        raise ValueError(f"n is {n}, and {len(quick)} of {len(table)} rows took less than {max_seconds} s: "
                         "expected at least one of each.")
    drawn = quick.sample(min(n, len(quick)), random_state=seed).to_dict("records")
    return [_row(record) for record in drawn]


def assert_reproduced(row, fresh, tolerance) -> None:
    """Fail unless fresh results agree with a row of the table.

    Args:
        row: Row from `sample_rows`.
        fresh: dict of results of the same settings, run again.
        tolerance: greatest absolute difference of a number; or a dict that gives it for the results to
            compare, where others may differ. Anything that is not a number must be equal.

    Raises:
        AssertionError: if a result is absent or differs; it names each with both values.

    Example:
        >>> row = Row({"seed": 1}, {"hit_rate": 0.31}, seconds=2.0)
        >>> assert_reproduced(row, {"hit_rate": 0.32}, tolerance=0.02)
        >>> assert_reproduced(row, {"hit_rate": 0.37}, tolerance=0.02)
        Traceback (most recent call last):
        AssertionError: {'seed': 1} was not reproduced: hit_rate was 0.31, is 0.37 (tolerance 0.02).
    """
    if not isinstance(tolerance, Mapping):
        tolerance = dict.fromkeys([*row.results, *fresh], tolerance)
    if unknown := [name for name in tolerance if name not in row.results and name not in fresh]:
        raise AssertionError(f"There is no result called {unknown[0]!r}: expected one of "
                             f"{[*row.results, *fresh]}.")
    pairs = {name: (row.results.get(name), fresh.get(name), allowed) for name, allowed in tolerance.items()}
    wrong = [f"{name} was {old}, is {new} (tolerance {allowed})"
             for name, (old, new, allowed) in pairs.items() if not _agree(old, new, allowed)]
    if wrong:
        raise AssertionError(f"{row.settings} was not reproduced: {'; '.join(wrong)}.")


# Pieces -----------------------------------------------------------------------------------------------------


def _distinct(values, name):
    values = list(values)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{name} are {values}: expected at least one, each once.")
    return values


def _tidy(labels, results):
    """One or several results as rows that start with their labels."""
    results = [results] if isinstance(results, Mapping) else results
    if not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
        raise TypeError(f"The function returned {type(results).__name__}: expected a dict or a list of "
                        "dicts.")
    for result in results:
        _check_names(result, labels)
    return pd.DataFrame([{**labels, **result} for result in results])


def _check_names(result, taken):
    if clash := sorted(set(result) & set(taken)):
        raise ValueError(f"A result is called {clash[0]!r}, the name of a column that exists already: rename "
                         "it.")


def _differences(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 1 or b.shape not in (a.shape, ()):
        raise ValueError(f"a has shape {a.shape}, b {b.shape}: expected (n,) for both.")
    if len(a) < 2 or not np.isfinite(a - b).all():
        raise ValueError(f"{len(a)} pairs, or a number is missing: expected at least two finite pairs.")
    return a - b


def _upper(confidence):
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: expected a share between 0 and 1, such as 0.95.")
    return (1 + confidence) / 2


def _plain(value):
    """The value as JSON knows it: NumPy scalars and tuples unwrapped, whole floats as integers."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _to_json(settings):
    try:
        return json.dumps(_plain(settings), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"settings {settings} cannot be written as JSON ({error}): use numbers, strings, "
                          "booleans, None, lists and dicts.") from error


def _combine(settings_json, code_digest):
    return hashlib.sha256(f"{settings_json}\n{code_digest}".encode()).hexdigest()[:16]


def _reached(function, code):
    """Syntax trees of the function, of the listed functions and classes, and of what these mention in the modules."""
    modules = [piece for piece in code if inspect.ismodule(piece)]
    reached = [_syntax_tree(piece) for piece in (function, *code) if not inspect.ismodule(piece)]
    unseen = [node for module in modules for statement in _essential(_syntax_tree(module)).body
              for node in _one_by_one(statement)]
    while True:
        mentioned = set().union(*map(_mentioned, reached))
        found = [node for node in unseen if (names := _bound(node)) is None or names & mentioned]
        if not found:
            return reached
        reached += found
        unseen = [node for node in unseen if node not in found]


def _mentioned(tree):
    """All names in a syntax tree, those of attributes too: in doubt too many."""
    nodes = list(ast.walk(tree))
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)}


def _one_by_one(statement):
    """A statement, or each name of an import by itself: what else stands in the line does not matter."""
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return [statement]
    return [type(statement)(**{**vars(statement), "names": [alias]}) for alias in statement.names]


def _bound(statement):
    """The names that a statement of a module binds, or None where it acts in another way and always counts."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign):
        return {node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    name = getattr(statement, "name", None) or getattr(getattr(statement, "target", None), "id", None)
    return name and {name}


def _code_digest(code):
    """Hash of the listed pieces of code, whatever their order and however often listed."""
    pieces = sorted({_canonical(_essential(_syntax_tree(piece))) for piece in code})
    return hashlib.sha256("\n".join(pieces).encode()).hexdigest()


def _syntax_tree(piece):
    if isinstance(piece, ast.AST):
        return piece
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(piece)))
    except (OSError, TypeError, SyntaxError) as error:
        raise TypeError(f"The source of {piece!r} cannot be read: list functions written with def, classes "
                        "or modules.") from error


def _essential(tree):
    """The tree without docstrings, and without the empty strings that some versions add to f-strings."""
    for node in ast.walk(tree):
        is_block = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if is_block and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        if isinstance(node, ast.JoinedStr):
            node.values = [part for part in node.values if getattr(part, "value", None) != ""]
    return tree


def _canonical(node):
    """A syntax tree as text that is the same in every version of Python which knows its syntax."""
    if isinstance(node, ast.AST):
        fields = {name: _canonical(value) for name, value in ast.iter_fields(node) if name not in _MARKS}
        known = ",".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name])
        return f"{type(node).__name__}({known})"
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]" if node else ""
    return "" if node is None else f"{type(node).__name__}:{ascii(node)}"


def _fingerprints(settings, function, code):
    """The settings by fingerprint, in their order."""
    digest = _code_digest(_reached(function, code))
    marks = [_combine(_to_json(setting), digest) for setting in settings]
    if not marks or len(set(marks)) < len(marks):
        raise ValueError(f"{len(marks)} settings, {len(set(marks))} of them distinct: expected at least one, "
                         "each once.")
    return dict(zip(marks, settings))


def _run(function, setting):
    start = time.perf_counter()
    results = function(**setting)
    seconds = round(time.perf_counter() - start, 2)
    if not isinstance(results, Mapping):
        raise TypeError(f"The function returned {type(results).__name__}: expected a dict of results.")
    _check_names(results, [*setting, *PROVENANCE])
    keras = sys.modules.get("keras")
    return {**setting, **results, "seconds": seconds, "settings": _to_json(setting),
            "python": platform.python_version(), "numpy": np.__version__,
            "keras": getattr(keras, "__version__", None),
            "date": datetime.now(timezone.utc).date().isoformat()}


def _read_current(path, settings, function, code):
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: make it with run_table, which runs {len(settings)} "
                                "settings.")
    wanted, found = _fingerprints(settings, function, code), _read(path)
    missing = [setting for mark, setting in wanted.items() if mark not in set(found["fingerprint"])]
    unwanted = ~found["fingerprint"].isin(wanted) | found["fingerprint"].duplicated()
    extra = found.loc[unwanted, "settings"].tolist()
    if missing or extra:
        raise StaleTableError(
            f"{path}: {len(missing)} of {len(wanted)} rows are missing (first: {missing[:1]}), {len(extra)} "
            f"are repeated or of other settings or code (first: {extra[:1]}). Run run_table again.")
    return found.set_index("fingerprint", drop=False).loc[list(wanted)].reset_index(drop=True)


def _read(path, **options):
    types = dict.fromkeys(PROVENANCE[1:], "str")
    table = pd.read_csv(path, **({"dtype": types, "keep_default_na": False, "na_values": [""]} | options))
    if absent := [name for name in PROVENANCE if name not in table]:
        raise ValueError(f"{path} has no column {absent[0]!r}: it is not a table that run_table wrote.")
    return table


def _rows_in(path):
    """The rows of a file by fingerprint, as text, so that they are written back to the letter."""
    records = _read(path, dtype="str", na_values=[]).to_dict("records") if Path(path).exists() else []
    return {record["fingerprint"]: record for record in records}


def _write(path, rows):
    """Replace the file at once: a reader sees the old table or the new one, never a part."""
    table = pd.DataFrame(rows, dtype=object)
    table = table[[*table.columns.drop(PROVENANCE), *PROVENANCE]]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        table.to_csv(unfinished, index=False, lineterminator="\n")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _row(record):
    settings = json.loads(record["settings"])
    taken = {*settings, *PROVENANCE}
    results = {name: value for name, value in record.items() if name not in taken and not pd.isna(value)}
    return Row(settings, results, record["seconds"])


def _agree(old, new, tolerance):
    """Whether two results are equal, near, or both absent (None, NaN)."""
    if pd.isna(old) or pd.isna(new):
        return bool(pd.isna(old) and pd.isna(new))
    if isinstance(old, str) or isinstance(new, str):
        return old == new
    return abs(float(old) - float(new)) <= tolerance
