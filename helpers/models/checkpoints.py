"""Checkpoints of a Keras model that say what they belong to, and are refused where they do not fit.

A checkpoint is a folder with two files: the model (`.keras`, with the optimizer's state) and `checkpoint.json`, which
names it and holds its hash, what the model consists of, and the hash of the vocabulary. The JSON file is put in place
last and at once, so that a process that is killed at any moment leaves the old checkpoint or the new one.

    model.fit(..., initial_epoch=resume(folder, model, tokens), callbacks=[KeepCheckpoint(folder, tokens)])

goes on where a training was killed. Keras' own `BackupAndRestore` does that too, but it knows no vocabulary, takes the
weights of any model of the same shapes, replaces its two files one after the other, and draws dropout anew.

What is not kept: the state of other callbacks (patience counts anew), the order of the data (draw it from the epoch's
number, or leave it), and what was hung onto variables after the model was built, such as a regularizer; `resume`
therefore puts the numbers into a model that you build as before.

Models are read with `safe_mode`, which refuses code in a file; never load a model that was pickled by somebody else.

Source: Keras 3, https://keras.io/guides/serialization_and_saving/.
"""

import hashlib
import json
import os
import re
from pathlib import Path

import keras

MANIFEST = "checkpoint.json"


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or belongs to another model or vocabulary."""


def save_checkpoint(folder, model, tokens, epoch=0, about=None):
    """Save a model with what it belongs to, in place of the checkpoint that the folder may hold.

    Args:
        folder: Where the two files go; made if need be.
        model: Built `keras.Model`; where it is compiled, the optimizer's state is kept.
        tokens: Tokens of its vocabulary, in order; any JSON values.
        epoch: Number of epochs that it was trained.
        about: Further JSON values to keep, such as scores.

    Returns:
        Path of the JSON file.

    Raises:
        TypeError: If tokens or about are no JSON values.

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_checkpoint(folder, model, ["a", "b"], epoch=4)
        ...     again, found = load_checkpoint(folder, ["a", "b"])
        >>> found["epoch"], again.count_params()
        (4, 8)
    """
    folder = Path(folder)
    manifest = {"epoch": epoch, "model": parts_of(model), "tokens": _hash_of_tokens(tokens), "n_tokens": len(tokens),
                "random": [keras.ops.convert_to_numpy(state).tolist() for state in _random_states(model)], "about": about}
    json.dumps(manifest)  # fails before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"part-{os.getpid()}.keras"
    model.save(part)
    digest = _hash(part.read_bytes())
    manifest |= {"file": f"model-{digest[:16]}.keras", "hash": digest}
    os.replace(part, folder / manifest["file"])
    _write(folder / MANIFEST, manifest)
    for old in {*folder.glob("model-*.keras"), *folder.glob("part-*.keras")} - {folder / manifest["file"]}:
        old.unlink()
    return folder / MANIFEST


def load_checkpoint(folder, tokens, like=None):
    """Load a model, if it is whole and belongs to this vocabulary.

    Args:
        folder: As given to `save_checkpoint`.
        tokens: Tokens that your data is encoded with, in order.
        like: Model that the checkpoint must equal in its layers and sizes; None takes any.

    Returns:
        (`keras.Model`, dict with epoch, about, and what else the JSON file holds).

    Raises:
        FileNotFoundError: If there is no checkpoint.
        CheckpointError: If a file is cut off or changed, if the model or the vocabulary is another one, or if the file
            holds code (a Lambda layer).
    """
    path, manifest = _checked(folder, tokens, like)
    try:
        return keras.saving.load_model(path, safe_mode=True), manifest
    except ValueError as error:
        raise CheckpointError(f"{path} was not loaded: {error}") from error


def resume(folder, model, tokens):
    """Put the last checkpoint into a model that is built and compiled as before, and say where to go on.

    Args:
        folder: As given to `save_checkpoint` or `KeepCheckpoint`.
        model: Compiled `keras.Model`; changed in place, its optimizer too.
        tokens: Tokens of its vocabulary, in order.

    Returns:
        Number of epochs done, for `initial_epoch` of `fit`; 0, and an unchanged model, if there is no checkpoint yet.

    Raises:
        ValueError: If the model is not compiled.
        CheckpointError: As `load_checkpoint`.
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError("the model has no optimizer, whose state would be lost: compile it first")
    if not (Path(folder) / MANIFEST).exists():
        return 0
    path, manifest = _checked(folder, tokens, like=model)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    for state, value in zip(_random_states(model), manifest["random"], strict=True):
        state.assign(value)
    return manifest["epoch"]


class KeepCheckpoint(keras.callbacks.Callback):
    """Saves a checkpoint after each epoch.

    Args:
        folder: As for `save_checkpoint`.
        tokens: Tokens of the model's vocabulary, in order.
    """

    def __init__(self, folder, tokens):
        super().__init__()
        self.folder, self.tokens = folder, tokens

    def on_epoch_end(self, epoch, logs=None):
        """Save, with the epoch's scores."""
        scores = {name: float(value) for name, value in (logs or {}).items()}
        save_checkpoint(self.folder, self.model, self.tokens, epoch + 1, scores)


def parts_of(model):
    """Describe what a model consists of: two models with equal parts can swap their weights.

    Returns:
        List of dicts, one a layer: layer (its name without the number that Keras may append), kind, weights (their
        shapes), trains, and a hash of its settings without initializers and seeds.

    Example:
        >>> layer = keras.layers.Dense(2, name="head")
        >>> found = parts_of(keras.Sequential([keras.Input((3,)), layer]))
        >>> found[0]["layer"], found[0]["kind"], found[0]["weights"]
        ('head', 'Dense', [[3, 2], [2]])
    """
    return [{"layer": re.sub(r"_\d+$", "", layer.name), "kind": type(layer).__name__,
             "weights": [list(w.shape) for w in layer.weights], "trains": layer.trainable,
             "settings": _hash(json.dumps(_essence(layer.get_config())).encode())[:16]}
            for layer in model.layers]


def _random_states(model):
    """What dropout layers draw from next: variables that a `.keras` file leaves out."""
    kept = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in kept]


def _essence(config):
    """A layer's settings without what only its first weights depend on."""
    if isinstance(config, dict):
        return {key: _essence(value) for key, value in sorted(config.items())
                if not key.endswith("initializer") and key not in ("name", "seed", "build_config", "registered_name")}
    return [_essence(value) for value in config] if isinstance(config, list | tuple) else repr(config)


def _checked(folder, tokens, like):
    """Path of the model's file and the manifest, if everything fits."""
    path = Path(folder) / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: there is no checkpoint in this folder yet")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        file, digest, parts = path.with_name(manifest["file"]), manifest["hash"], manifest["model"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is cut off or was changed ({error!r}): take an older checkpoint, or train "
                              "anew") from error
    if not file.exists() or _hash(file.read_bytes()) != digest:
        found = f"{file.stat().st_size:,} bytes of another content" if file.exists() else "no such file"
        raise CheckpointError(f"{file} is cut off or was changed: expected the content with hash {digest[:8]}, found "
                              f"{found}. Take an older checkpoint, or train anew")
    if manifest["tokens"] != _hash_of_tokens(tokens):
        raise CheckpointError(f"{path} belongs to another vocabulary: it has {manifest['n_tokens']} tokens, yours "
                              f"{len(tokens)}, and they or their order differ. Encode with the vocabulary that the "
                              "model was trained with; to move to a new one, remap its tables")
    if like is not None:
        _check_parts(path, parts, parts_of(like))
    return file, manifest


def _check_parts(path, found, expected):
    for number, part in enumerate(expected):
        other = found[number] if number < len(found) else None
        if other != part:
            raise CheckpointError(f"{path} belongs to another model: at layer {number} it has {other}, yours has "
                                  f"{part}. Build the model as it was built for the checkpoint")
    if len(found) > len(expected):
        raise CheckpointError(f"{path} belongs to another model: it has {len(found)} layers, yours {len(expected)}. "
                              "Build the model as it was built for the checkpoint")


def _hash(data):
    return hashlib.sha256(data).hexdigest()


def _hash_of_tokens(tokens):
    return _hash(json.dumps(list(tokens)).encode())


def _write(path, values):
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps(values, indent=1), encoding="utf-8")
    os.replace(part, path)
