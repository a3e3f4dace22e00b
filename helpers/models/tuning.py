"""Search for good settings of a model with keras-tuner: three methods, one budget, resumable, on several workers.

The search knows nothing of the model. It takes three functions:

    space(hp) -> dict                        declare what can be chosen, and return the choice
    build(settings) -> keras.Model           make an untrained model, or one that starts from a source's weights
    train(model, settings, epochs) -> dict   train it in place; "validation" is the score, higher is better

Only "validation" is looked at; other entries of the dict are kept in the table of trials and nothing is chosen by them.

What a plain call of keras-tuner does otherwise, and this file does not: it replaces seed 0 by a random one; it draws
setting i of a trial with `seed + i`, so that searches with neighboring seeds try nearly the same; it goes on with an
old search although the space has changed; it takes an error in your code for a bad trial; and it prints.

Source: random search: Bergstra, J. & Bengio, Y. (2012), Random search for hyper-parameter optimization, JMLR 13,
281-305; Hyperband: Li, L. et al. (2018), Hyperband: a novel bandit-based approach to hyperparameter optimization,
JMLR 18, arXiv 1603.06560; Bayesian optimization: Snoek, J., Larochelle, H. & Adams, R. (2012), Practical Bayesian
optimization of machine learning algorithms, arXiv 1206.2944.
"""

import contextlib
import io
import json
import os
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import keras_tuner
import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

METHODS = ("random", "bayesian", "hyperband")
FAR = 1000  # between the seeds of two searches: each trial takes one seed a setting


class SearchMismatchError(ValueError):
    """A folder that holds another search, or one whose files were cut off."""


def search(space, build, train, folder, *, method="random", trials=12, epochs=15, seed=0, factor=4, about=None):
    """Search for the settings with the highest validation score; go on where a search was interrupted.

    Args:
        space: Function of `keras_tuner.HyperParameters` that declares every setting, whatever the values are, and
            returns them as a dict. A setting that matters for some values of another takes `parent_name` and
            `parent_values`; where it does not matter it is None.
        build: Function of the settings that returns a built `keras.Model`.
        train: Function of (model, settings, epochs) that trains in place and returns a dict of numbers.
        folder: Where the trials are kept. A folder that holds the same search is gone on with.
        method: `random`, `bayesian` (after a third of the trials, a Gaussian process proposes), or `hyperband` (many
            short trainings, of which the best go on).
        trials: Number of trials; may grow when a search is gone on with. For hyperband it sets the budget only:
            the number of epochs is trials * epochs, rounded to whole sweeps and at least one.
        epochs: Greatest number of epochs of a training.
        seed: Seed of the settings that are tried, at least 0.
        factor: For hyperband, one in `factor` trainings goes on, `factor` times as long.
        about: JSON values that say what else the scores depend on, such as the data; a search of other data is refused.

    Returns:
        Table of trials in order: trial, the settings, epochs trained, worker, status, and what `train` returned. A
        trial whose score is no number has status FAILED.

    Raises:
        ValueError: If an argument is out of range.
        SearchMismatchError: If the folder holds another search, or files that were cut off.
        RuntimeError: If `build` or `train` raises, or `train` returns no "validation"; the trials before are kept,
            and a further call goes on.

    Example:
        >>> import keras
        >>> def space(hp):
        ...     return {"rate": hp.Float("rate", 1e-4, 1e-1, sampling="log")}
        >>> def build(settings):
        ...     return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> def train(model, settings, epochs):
        ...     return {"validation": -abs(settings["rate"] - 0.01)}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = search(space, build, train, folder, trials=3)
        >>> table[["trial", "epochs", "status"]].to_dict("list")
        {'trial': [0, 1, 2], 'epochs': [15, 15, 15], 'status': ['COMPLETED', 'COMPLETED', 'COMPLETED']}
    """
    _check(method, trials, epochs, seed, factor)
    hp = keras_tuner.HyperParameters()
    space(hp)
    asked = {"method": method, "epochs": epochs, "seed": seed, "space": hp.get_config()["space"], "about": about}
    if method == "hyperband":
        asked["sweeps"], asked["factor"] = sweeps_of(trials * epochs, epochs, factor), factor
    folder = Path(folder)
    _claim(folder, asked)
    oracle = _oracle(hp, method, trials, asked)
    oracle.verbose = 0
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            tuner = _Tuner(space, build, train, epochs, oracle, directory=str(folder), project_name="trials")
    except json.JSONDecodeError as error:
        raise SearchMismatchError(f"{folder} holds files that were cut off ({error}): delete it and start again") from error
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):  # its matrices are tiny: threads slow it down
        warnings.filterwarnings("ignore", category=ConvergenceWarning)  # of the Gaussian process on few points
        tuner.search()
    return trials_in(folder)


def trials_in(folder):
    """Read the table of trials of a search that is over, goes on, or was interrupted.

    Args:
        folder: As given to `search`.

    Returns:
        As `search`; trials that are not finished are left out.

    Raises:
        FileNotFoundError: If there is no finished trial.
    """
    rows = []
    for path in Path(folder).glob("trials/trial_*/result.json"):
        row = json.loads(path.read_text(encoding="utf-8"))
        rows.append({"trial": int(path.parent.name.removeprefix("trial_")), **row})
    if not rows:
        raise FileNotFoundError(f"{folder} holds no finished trial: call search first")
    return pd.DataFrame(rows).sort_values("trial", ignore_index=True)


def sweeps_of(budget, epochs, factor):
    """Count the sweeps of Hyperband that come closest to a budget of epochs, at least one.

    Source: keras-tuner 1.4.8, `HyperbandOracle`: bracket b starts with s(b, 0) trainings of e(b, 0) epochs, and its
    round r goes on with s(b, r) of them up to e(b, r) epochs.

    Example:
        >>> sweeps_of(180, epochs=15, factor=4), sweeps_of(10, epochs=15, factor=4)
        (2, 1)
    """
    brackets = 0
    while epochs / factor**brackets >= 1:
        brackets += 1
    end = np.ceil(1 + np.log(epochs) / np.log(factor))
    sweep = 0
    for bracket in range(brackets):
        upto = [np.ceil(epochs / factor ** (bracket - number)) for number in range(bracket + 1)]
        size = [np.ceil(end / (bracket + 1) * factor ** (bracket - number)) for number in range(bracket + 1)]
        sweep += sum(n * steps for n, steps in zip(size, np.diff([0, *upto]), strict=True))
    return max(1, round(budget / sweep))


def run_workers(command, workers=2, timeout=600):
    """Run one search in several processes of this machine: a chief that hands out trials, and workers.

    Every process runs the same command, which calls `search` with the same arguments; keras-tuner learns from three
    environment variables (KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT) who is who. If a worker
    dies, all are stopped; run the command again to go on.

    Args:
        command: List of strings, such as [sys.executable, "my_search.py"].
        workers: Number of workers.
        timeout: Seconds after which all are stopped.

    Raises:
        ValueError: If workers is below 1.
        RuntimeError: If a worker fails; with the end of what it wrote to stderr.
        TimeoutError: If a worker takes too long.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1; found {workers}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port, "no_grpc_proxy": "127.0.0.1"}
    names = ["chief", *(f"worker{number}" for number in range(workers))]
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile()) for _ in names]
        processes = []
        stack.callback(_stop, processes)
        for name, log in zip(names, logs, strict=True):
            environment = {**os.environ, **place, "KERASTUNER_TUNER_ID": name}
            processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log))
        _await(names, processes, logs, timeout)


def _await(names, processes, logs, timeout):
    """Wait for the workers; the chief, which would linger up to 20 s, has written all by then and may be stopped."""
    deadline = time.monotonic() + timeout
    while True:
        ended = [process.poll() for process in processes]
        for name, code, log in zip(names, ended, logs, strict=True):
            if code:
                log.seek(0)
                raise RuntimeError(f"{name} ended with {code}: {log.read().decode(errors='replace')[-2000:]}")
        if None not in ended[1:]:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the workers took more than {timeout} s: run the search again to go on, or raise timeout")
        time.sleep(0.2)


def _stop(processes):
    for process in processes:
        process.kill()
        process.wait()


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Runs a trial with the functions of `search`, and keeps its results and weights in the trial's folder."""

    def __init__(self, space, build, train, epochs, oracle, **where):
        self.space, self.build, self.train, self.epochs = space, build, train, epochs
        super().__init__(oracle, **where)

    def run_trial(self, trial):
        settings, values = self.space(trial.hyperparameters), trial.hyperparameters.values
        upto, done = values.get("tuner/epochs", self.epochs), values.get("tuner/initial_epoch", 0)
        here = Path(self.get_trial_dir(trial.trial_id))
        try:
            model = self.build(settings)
            if earlier := values.get("tuner/trial_id"):  # a training of Hyperband that goes on
                model.load_weights(Path(self.get_trial_dir(earlier)) / "trained.weights.h5")
            results = {name: float(value) for name, value in self.train(model, settings, upto - done).items()}
            if "validation" not in results:
                raise ValueError(f"train returned {sorted(results)}, without the score 'validation'")
            model.save_weights(here / "trained.weights.h5")
        except Exception as error:
            raise keras_tuner.errors.FatalRuntimeError(f"trial {trial.trial_id} with {settings}: {error!r}") from error
        score = results["validation"]
        status = "COMPLETED" if np.isfinite(score) else "FAILED"
        _write(here / "result.json", {**settings, "epochs": upto - done, "worker": self.tuner_id, "status": status,
                                      **results})
        return score if np.isfinite(score) else np.nan


def _check(method, trials, epochs, seed, factor):
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}; found {method!r}")
    for name, value, least in (("trials", trials, 1), ("epochs", epochs, 1), ("seed", seed, 0), ("factor", factor, 2)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}; found {value}")


def _claim(folder, asked):
    """Mark a folder as this search's own, or refuse it if it is another's."""
    path, asked = folder / "search.json", json.loads(json.dumps(asked))
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, asked)
    held = json.loads(path.read_text(encoding="utf-8"))
    for name in asked:
        if held.get(name) != asked[name]:
            raise SearchMismatchError(f"{folder} holds another search: its {name} is {held.get(name)}, asked for is "
                                      f"{asked[name]}. Choose another folder, or delete this one")


def _oracle(hp, method, trials, asked):
    common = {"objective": keras_tuner.Objective("validation", "max"), "hyperparameters": hp,
              "seed": 1 + FAR * asked["seed"], "max_consecutive_failed_trials": 1_000_000}
    if method == "random":
        return keras_tuner.oracles.RandomSearchOracle(max_trials=trials, **common)
    if method == "bayesian":
        first = max(trials // 3, 2)
        return keras_tuner.oracles.BayesianOptimizationOracle(max_trials=trials, num_initial_points=first, **common)
    return keras_tuner.oracles.HyperbandOracle(max_epochs=asked["epochs"], factor=asked["factor"],
                                               hyperband_iterations=asked["sweeps"], **common)


def _write(path, values):
    """Write JSON so that a reader finds the old file or the new one, never a part."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps(values), encoding="utf-8")
    os.replace(part, path)
