"""How many sequences a second does `helpers.models.sequence.train` train, against the same model in PyTorch?

    python -m venv .venv-torch
    .venv-torch/bin/pip install torch numpy
    python -m tests.benchmarks.training .venv-torch/bin/python

PyTorch is no dependency of the course, so it lives in an environment of its own. Both sides get the model of the
case study (embeddings of items and actions, an LSTM, a score for every item at every position), the same weights to
start from, the same windows in the same order, Adam at the same settings and both cores. They run in turn, each in
a process of its own. That it is the same model shows in the loss of a first batch, which must agree. Later losses
do not: where an item occurs several times in a batch, PyTorch sums the gradients of its row before Adam squares
them, Keras on TensorFlow squares each.

The speed is that of the fastest epoch after the first, of all rounds: what else runs on a machine only ever slows.
`start` is what the first epoch takes longer, since Keras traces the model first. The helpers run twice, as they are
and compiled by XLA (`jit_compile=True`), which starts seconds later.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from helpers.models import sequence

PEER = Path(__file__).parent / "peers" / "training_torch.py"
ITEMS, ACTIONS, LENGTH = 302, 6, 20
BATCH, EPOCHS, ROUNDS = 128, 8, 3


def make_data(sequences, seed=0):
    """Windows full of events, what follows them, and the weights to start from, as Keras draws them."""
    rng = np.random.default_rng(seed)
    walk = rng.integers(1, 4, (sequences, LENGTH + 1)).cumsum(axis=1) % (ITEMS - 2) + 2  # there is something to learn
    model = sequence.build_next_item(ITEMS, ACTIONS, seed=seed)
    weights = {f"weight_{number}": weight for number, weight in enumerate(model.get_weights())}
    actions = rng.integers(1, ACTIONS, (sequences, LENGTH))
    return {"items": walk[:, :-1], "actions": actions, "targets": walk[:, 1:]} | weights


def train(data, epochs=EPOCHS, jit_compile="auto"):
    """Train from the given weights; return the mean loss of the last epoch and the seconds of each."""
    model = sequence.build_next_item(ITEMS, ACTIONS)
    model.set_weights([data[f"weight_{number}"] for number in range(7)])
    inputs = {name: data[name] for name in ("items", "actions")}
    ends = timed(model, [time.perf_counter()])
    history = sequence.train(model, inputs, data["targets"], epochs=epochs, batch_size=BATCH, jit_compile=jit_compile)
    return history["loss"][-1], np.diff(ends).tolist()


def timed(model, ends):
    """Let a model note the time at the end of each epoch that it is fitted for."""
    fit = model.fit
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    model.fit = lambda *given, callbacks, **settings: fit(*given, callbacks=[*callbacks, clock], **settings)
    return ends


def first_batch(data):
    """The weights, and as many windows as one step takes."""
    return data | {name: data[name][:BATCH] for name in ("items", "actions", "targets")}


def measure(path, jit_compile):
    """Print the loss of a first batch, then the seconds of each epoch of a training with the helpers."""
    data = dict(np.load(path))
    print(json.dumps([train(first_batch(data), 1, jit_compile)[0], train(data, EPOCHS, jit_compile)[1]]))


def compare(peer_python, sequences=10_000, rounds=ROUNDS):
    """Loss of the first batch, sequences a second and seconds of the start, of all sides in turn."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(path, **make_data(sequences))
        ours = [sys.executable, "-m", "tests.benchmarks.training", "measure", str(path)]
        commands = {
            "helpers": [*ours, "auto"],
            "helpers, XLA": [*ours, "xla"],
            "PyTorch": [peer_python, str(PEER), str(path), str(BATCH), str(EPOCHS)],
        }
        runs = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                runs[name].append(json.loads(done.stdout))
    return {name: summary(found, sequences) for name, found in runs.items()}


def summary(runs, sequences):
    """Loss of the first batch, sequences a second and seconds of the start, of runs (loss, seconds of each epoch)."""
    epoch = min(min(seconds[1:]) for _, seconds in runs)
    return {"loss": runs[0][0], "speed": sequences / epoch, "start": min(seconds[0] for _, seconds in runs) - epoch}


def main(peer_python):
    """Print the table."""
    found = compare(peer_python)
    peer = found["PyTorch"]
    np.testing.assert_allclose([row["loss"] for row in found.values()], peer["loss"], 1e-4, err_msg="other models")
    print("              sequences/s  start [s]  to PyTorch")
    for name, row in found.items():
        print(f"{name:12} {row['speed']:12,.0f} {row['start']:10.1f} {row['speed'] / peer['speed']:11.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2], True if sys.argv[3] == "xla" else "auto")
    elif len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        print(__doc__)
