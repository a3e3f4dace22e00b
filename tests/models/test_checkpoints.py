"""Checkpoints: a killed training goes on as if nothing had happened, and what does not fit is refused."""

import json
import signal
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from helpers.models import checkpoints
from helpers.models.checkpoints import CheckpointError, KeepCheckpoint, load_checkpoint, resume, save_checkpoint
from helpers.models.sequence import build_next_item

TOKENS = ["a", "b", "c"]

TRAINING = """
import os, signal, sys
import keras, numpy as np
from pathlib import Path

def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dropout(0.2, seed=1),
                              keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
data = {"x": x, "y": x.sum(axis=1, keepdims=True), "batch_size": 16, "shuffle": False, "verbose": 0}
"""
KILLED = TRAINING + """
sys.path.insert(0, sys.argv[2])
from checkpoints import KeepCheckpoint

class Kill(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if (Path(sys.argv[1]) / "checkpoint.json").exists() and self.epoch == 3 and batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

build().fit(**data, epochs=8, callbacks=[KeepCheckpoint(sys.argv[1], ["a"]), Kill()])
"""


def small(units=4, **settings):
    return build_next_item(len(TOKENS) + 2, embedding=4, units=units, **settings)


@pytest.fixture
def saved(tmp_path):
    model = small()
    save_checkpoint(tmp_path, model, TOKENS, epoch=2, about={"score": 0.5})
    return tmp_path, model


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path):
    source = str(checkpoints.__file__).removesuffix("checkpoints.py")
    process = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), source], capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    names = {}
    exec(textwrap.dedent(TRAINING), names)
    whole, again = names["build"](), names["build"]()
    whole.fit(**names["data"], epochs=8)
    assert resume(tmp_path, again, ["a"]) == 3
    again.fit(**names["data"], epochs=8, initial_epoch=3, callbacks=[KeepCheckpoint(tmp_path, ["a"])])
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert int(again.optimizer.iterations) == 8 * 4
    assert load_checkpoint(tmp_path, ["a"])[1]["epoch"] == 8


def test_a_model_comes_back_with_its_weights_and_notes(saved):
    folder, model = saved
    again, manifest = load_checkpoint(folder, TOKENS, like=small(seed=7))  # seeds make no other model
    assert manifest["epoch"] == 2 and manifest["about"] == {"score": 0.5}
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_new_checkpoint_replaces_the_old_one(saved):
    folder, _ = saved
    (folder / "part-1.keras").write_text("left by a process that was killed")
    save_checkpoint(folder, small(seed=3), TOKENS, epoch=3)
    assert len(list(folder.iterdir())) == 2 and load_checkpoint(folder, TOKENS)[1]["epoch"] == 3


def test_no_checkpoint_means_epoch_0_to_go_on_from_and_nothing_to_load(tmp_path):
    model = small()
    model.compile("adam", "mse")
    assert resume(tmp_path, model, TOKENS) == 0
    with pytest.raises(FileNotFoundError, match="no checkpoint in this folder"):
        load_checkpoint(tmp_path, TOKENS)


def test_a_model_without_optimizer_cannot_go_on(tmp_path):
    with pytest.raises(ValueError, match="compile it first"):
        resume(tmp_path, small(), TOKENS)


@pytest.mark.parametrize("harm", [lambda data: data[:-100], lambda data: data[:500] + b"!" + data[501:]])
def test_a_file_that_was_cut_off_or_changed_is_refused(saved, harm):
    folder, _ = saved
    (file,) = folder.glob("*.keras")
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(CheckpointError, match="is cut off or was changed: expected"):
        load_checkpoint(folder, TOKENS)


def test_a_missing_file_is_named(saved):
    folder, _ = saved
    next(folder.glob("*.keras")).unlink()
    with pytest.raises(CheckpointError, match="found no such file"):
        load_checkpoint(folder, TOKENS)


@pytest.mark.parametrize("text", ['{"epoch": 2, "mod', "{}", "[]"])
def test_a_damaged_manifest_is_refused(saved, text):
    folder, _ = saved
    (folder / "checkpoint.json").write_text(text)
    with pytest.raises(CheckpointError, match="checkpoint.json is cut off or was changed"):
        load_checkpoint(folder, TOKENS)


@pytest.mark.parametrize("tokens", [["a", "b"], ["b", "a", "c"], ["a", "b", "d"]])
def test_another_vocabulary_is_refused(saved, tokens):
    with pytest.raises(CheckpointError, match=f"another vocabulary: it has 3 tokens, yours {len(tokens)}"):
        load_checkpoint(saved[0], tokens)


@pytest.mark.parametrize("other, layer", [
    (lambda: small(units=5), "encoder"), (lambda: small(cell="gru"), "encoder"),
    (lambda: small(dropout=0.5), "dropout"),
])
def test_another_model_is_refused_and_the_layer_is_named(saved, other, layer):
    with pytest.raises(CheckpointError, match=f"another model: at layer . it has .*{layer}"):
        load_checkpoint(saved[0], TOKENS, like=other())


def test_models_with_more_or_fewer_layers_are_refused(tmp_path):
    def chain(n):
        names = [f"layer{number}" for number in range(n)]
        return keras.Sequential([keras.Input((2,)), *(keras.layers.Dense(2, name=name) for name in names)])

    save_checkpoint(tmp_path, chain(2), TOKENS)
    with pytest.raises(CheckpointError, match="it has 2 layers, yours 1"):
        load_checkpoint(tmp_path, TOKENS, like=chain(1))
    with pytest.raises(CheckpointError, match="at layer 2 it has None"):
        load_checkpoint(tmp_path, TOKENS, like=chain(3))


def test_going_on_with_other_frozen_layers_is_refused(saved):
    model = small()
    model.get_layer("encoder").trainable = False
    model.compile("adam", "mse")
    with pytest.raises(CheckpointError, match="'trains': True"):
        resume(saved[0], model, TOKENS)


def test_code_in_a_file_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    save_checkpoint(tmp_path, model, TOKENS)
    with pytest.raises(CheckpointError, match="was not loaded"):
        load_checkpoint(tmp_path, TOKENS)


def test_notes_that_are_no_json_leave_the_checkpoint_as_it_was(saved):
    folder, _ = saved
    before = json.loads((folder / "checkpoint.json").read_text())
    with pytest.raises(TypeError):
        save_checkpoint(folder, small(seed=3), TOKENS, epoch=3, about={"score": np.zeros(2)})
    assert json.loads((folder / "checkpoint.json").read_text()) == before
