"""Pictures of items as numbers: a CNN that has learnt from ImageNet, and a sequence model that reads its vectors.

An image network and a model of visits share no input: one reads pixels, the other events. What can be carried over is
what the first makes of a picture. So each item's picture is encoded once, and the sequence model reads the vectors
beside the item's id and whatever else describes it:

    picture ── CNN, frozen ── 1280 numbers ── projection ── 32 numbers: one row of a table
    visit ──── id, action, row of each table ── LSTM ── own score + score of each table  (late fusion)

    read_torch_weights      a file of PyTorch weights as NumPy arrays, without PyTorch and without running its code
    build_efficientnet_lite0, load_pretrained    the network, and the weights in it
    encode_images           pictures to vectors
    fit_projection, project vectors of 1280 numbers to a table that a sequence model reads
    split_for_fine_tuning   the lower blocks as they are, the upper ones to be trained
    build_late_fusion       an LSTM that scores the next item by id, text, image, ..., each on its own
    without                 the same model, blind to one of these

Source: EfficientNet: Tan, M. & Le, Q. (2019), arXiv 1905.11946; its Lite variants, without squeeze-and-excitation and
with ReLU6: Liu, R. (2020), Higher accuracy on vision models with EfficientNet-Lite, TensorFlow blog. CNN vectors in a
recommender: He, R. & McAuley, J. (2016), VBPR, arXiv 1510.01784. Dropping modalities: Neverova, N. et al. (2016),
ModDrop, arXiv 1501.00102; dropping the id, for new items: Volkovs, M. et al. (2017), DropoutNet, NeurIPS 30.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

RESERVED = 2  # padding and unknown stand before the items
BLOCKS = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
TORCH_MAGIC, TORCH_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Tensor(NamedTuple):
    storage: tuple
    offset: int
    shape: tuple
    strides: tuple


class _WeightsOnly(pickle.Unpickler):
    """Reads dicts of tensors and nothing else: a pickle may name any function, and these three are all it gets."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *rest: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which weights do not need: do not load it")

    def persistent_load(self, place):
        return place  # ("storage", type, key, device, number of elements, None)


def read_torch_weights(path):
    """Read a file that PyTorch saved before its version 1.6, as NumPy arrays; no code of the file is run.

    The file holds five pickles (a magic number, the version of the format, sizes, the dict of tensors, the keys of
    the storages) and then the numbers of each storage. A tensor is a window on a storage: an offset, a shape, and how
    many numbers to step over along each axis (its strides), which need not be those of an array in memory.

    Args:
        path: The file, usually `.pth`.

    Returns:
        Dict from the tensor's name to an array of float32 or int64, in the order of the file.

    Raises:
        ValueError: If the file is of another format, is cut off, or a tensor reaches beyond its storage.
        pickle.UnpicklingError: If the file asks for anything but tensors.

    Example:
        >>> read_torch_weights(__file__)  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        ValueError: ...py does not start as a file of weights that PyTorch < 1.6 saved
    """
    with open(path, "rb") as file:
        if file.read(2) != b"\x80\x02" or not file.seek(0) == 0 or _next(file, path) != TORCH_MAGIC:
            raise ValueError(f"{Path(path).name} does not start as a file of weights that PyTorch < 1.6 saved (newer "
                             "files are zip archives): save it with _use_new_zipfile_serialization=False")
        version, _, tensors, keys = (_next(file, path) for _ in range(4))
        if version != TORCH_PROTOCOL:
            raise ValueError(f"{Path(path).name} is of format {version}, expected {TORCH_PROTOCOL}")
        types = {tensor.storage[2]: tensor.storage[1] for tensor in tensors.values()}
        storages = {key: _numbers(file, types[key], path) for key in keys}
    return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}


def _next(file, path):
    try:
        return _WeightsOnly(file).load()
    except EOFError as error:
        raise ValueError(f"{Path(path).name} ends before its weights do: copy it again") from error


def _numbers(file, dtype, path):
    count = int.from_bytes(file.read(8), "little")
    content = file.read(count * np.dtype(dtype).itemsize)
    if len(content) < count * np.dtype(dtype).itemsize:
        raise ValueError(f"{Path(path).name} ends before its weights do: copy it again")
    return np.frombuffer(content, dtype)


def _array(name, tensor, storages):
    numbers = storages[tensor.storage[2]]
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides))
    if min(tensor.shape, default=1) < 1 or min((tensor.offset, *tensor.strides)) < 0 or last >= len(numbers):
        raise ValueError(f"tensor {name!r} reaches to number {last} of a storage of {len(numbers)}: the file is damaged")
    steps = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, steps).copy()


def build_efficientnet_lite0(size=224, classes=0):
    """Build EfficientNet-Lite0 with random weights.

    Layers are named as in the published PyTorch files, so that `load_pretrained` finds them. A block widens its
    channels six times, filters each channel on its own (depthwise), and narrows again; where input and output have
    equal shapes, the input is added.

    Args:
        size: Height and width of the pictures, in pixels, a multiple of 32; it was trained with 224.
        classes: Number of classes whose logits are returned; 0 for the 1280 pooled features.

    Returns:
        Functional `keras.Model`: pixels (n, size, size, 3) from 0 to 255 -> (n, 1280), or logits (n, classes).

    Raises:
        ValueError: If size is not a positive multiple of 32, or classes is negative.

    Example:
        >>> build_efficientnet_lite0(size=32).output_shape
        (None, 1280)
    """
    if size < 32 or size % 32 or classes < 0:
        raise ValueError(f"size must be a positive multiple of 32 and classes at least 0; found {size}, {classes}")

    def convolved(x, name, norm, filters=0, kernel=1, stride=1, active=True):
        settings = {"strides": stride, "padding": "same", "use_bias": False, "name": name}
        layer = keras.layers.Conv2D(filters, kernel, **settings) if filters else keras.layers.DepthwiseConv2D(
            kernel, **settings)
        x = keras.layers.BatchNormalization(epsilon=1e-3, name=norm)(layer(x))
        return keras.layers.ReLU(6.0, name=f"{name}.relu6")(x) if active else x

    pixels = keras.Input((size, size, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="scaled")(pixels)
    x = convolved(x, "_conv_stem", "_bn0", 32, kernel=3, stride=2)
    number = 0
    for repeats, kernel, first_stride, expansion, filters in BLOCKS:
        for stride in (first_stride,) + (1,) * (repeats - 1):
            block, before = f"_blocks.{number}", x
            if expansion > 1:
                x = convolved(x, f"{block}._expand_conv", f"{block}._bn0", x.shape[-1] * expansion)
            x = convolved(x, f"{block}._depthwise_conv", f"{block}._bn1", kernel=kernel, stride=stride)
            x = convolved(x, f"{block}._project_conv", f"{block}._bn2", filters, active=False)
            x = keras.layers.Add(name=f"{block}.sum")([before, x]) if before.shape == x.shape else x
            number += 1
    x = convolved(x, "_conv_head", "_bn1", 1280)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    outputs = keras.layers.Dense(classes, name="_fc")(features) if classes else features
    return keras.Model(pixels, outputs, name="efficientnet_lite0")


def load_pretrained(model, weights):
    """Put published weights into a model of `build_efficientnet_lite0`, each into the layer of its name.

    Args:
        model: The model; changed in place.
        weights: Dict of `read_torch_weights`.

    Returns:
        List of the names of tensors that no layer took: those of the class layer, where the model has none.

    Raises:
        KeyError: If a layer finds no weights.
        ValueError: If a tensor has another shape than its layer, or tensors other than `_fc` are left over.
    """
    left = {name for name in weights if not name.endswith("num_batches_tracked")}
    for layer in model.layers:
        if layer.weights:
            names, arrays = _weights_of(layer, weights)
            found, expected = [a.shape for a in arrays], [w.shape for w in layer.get_weights()]
            if found != expected:
                raise ValueError(f"layer {layer.name!r} has weights of shape {expected}, the file {found}: build the "
                                 "model with the sizes of the file")
            layer.set_weights(arrays)
            left -= set(names)
    if unused := sorted(name for name in left if not name.startswith("_fc")):
        raise ValueError(f"no layer took {unused[0]!r} ({len(unused)} tensors in all): the file is of another network")
    return sorted(left)


def _weights_of(layer, weights):
    """Names of a layer's tensors in the file, and the tensors with the axes in the order of Keras."""
    axes = None
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ["weight", "bias", "running_mean", "running_var"]
    elif isinstance(layer, keras.layers.Dense):
        parts, axes = ["weight", "bias"], (1, 0)
    else:  # (out, in, height, width); a depthwise kernel has one input for each output
        parts, axes = ["weight"], (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
    names = [f"{layer.name}.{part}" for part in parts]
    if missing := [name for name in names if name not in weights]:
        raise KeyError(f"the file has no {missing[0]!r}, which layer {layer.name!r} needs: it is of another network")
    return names, [weights[n].transpose(axes) if axes and weights[n].ndim == len(axes) else weights[n] for n in names]


def encode_images(model, images, batch_size=32):
    """Encode pictures of any size, batch by batch.

    Args:
        model: `keras.Model` that reads pixels (n, size, size, 3).
        images: (n, height, width, 3) pixels from 0 to 255; resized (bilinear) where they are not of the model's size.
        batch_size: Pictures at a time.

    Returns:
        float32 array: the model's output for each picture.

    Raises:
        ValueError: If images are not of that shape, there are none, or pixels are outside [0, 255].

    Example:
        >>> encode_images(build_efficientnet_lite0(size=32), np.zeros((2, 8, 8, 3))).shape
        (2, 1280)
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] != 3 or not len(images):
        raise ValueError(f"images have shape {images.shape}: expected (n, height, width, 3), at least one")
    if images.min() < 0 or images.max() > 255 or (images.dtype.kind == "f" and 0 < images.max() <= 1):
        raise ValueError(f"pixels lie between {images.min()} and {images.max()}: expected 0 to 255, not scaled to 1")
    size, resized = model.input_shape[1:3], []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size].astype("float32")
        batch = batch if batch.shape[1:3] == size else keras.ops.image.resize(batch, size)
        resized.append(keras.ops.convert_to_numpy(batch))
    return model.predict(np.concatenate(resized), batch_size=batch_size, verbose=0)


class Projection(NamedTuple):
    """The main directions of a set of vectors.

    Attributes:
        mean: (d,) mean vector.
        directions: (d, width) directions of largest variance, scaled so that the projected set has a mean squared
            length of 1.
        share: Share of the variance that the directions keep.
    """

    mean: np.ndarray
    directions: np.ndarray
    share: float


def fit_projection(vectors, width=32):
    """Find the directions along which vectors differ most (principal components).

    Fit it on the source's catalogue alone, and use it for both platforms.

    Args:
        vectors: (n, d) numbers, such as encoded pictures.
        width: Number of directions; fewer are kept where the vectors span fewer.

    Returns:
        `Projection`.

    Raises:
        ValueError: If vectors are not a table, hold a missing value, or are all equal; or width < 1.

    Example:
        >>> fit_projection([[0., 0.], [2., 0.]], width=2).directions.round(3).tolist()
        [[1.0], [0.0]]
    """
    vectors = np.asarray(vectors, "float64")
    if vectors.ndim != 2 or not np.isfinite(vectors).all() or width < 1:
        raise ValueError(f"vectors have shape {vectors.shape} or hold a missing value, or width is {width}: expected "
                         "(n, d) finite numbers, and a width of at least 1")
    mean = vectors.mean(axis=0)
    _, lengths, rows = np.linalg.svd(vectors - mean, full_matrices=False)
    kept = int((lengths[:width] > 1e-9 * max(lengths[0], 1e-30)).sum()) if lengths[0] > 1e-12 else 0
    if not kept:
        raise ValueError("all vectors are equal, so they tell items apart in no direction: look at the pictures")
    signs = np.sign(rows[np.arange(kept), np.abs(rows[:kept]).argmax(axis=1)])  # the sign of a direction is arbitrary
    scale = np.sqrt((lengths[:kept] ** 2).sum() / len(vectors))
    share = float((lengths[:kept] ** 2).sum() / (lengths**2).sum())
    return Projection(mean, (rows[:kept] * signs[:, None]).T / scale, share)


def project(vectors, projection):
    """Make the table that a sequence model reads, one row a token.

    Args:
        vectors: (n, d) numbers, one row an item, in the order of the vocabulary.
        projection: `Projection` from `fit_projection`.

    Returns:
        float32 array (n + 2, width); rows 0 and 1, padding and unknown, are zeros.

    Raises:
        ValueError: If vectors do not have the projection's width.

    Example:
        >>> project([[3., 0.]], fit_projection([[0., 0.], [2., 0.]])).round(3).tolist()
        [[0.0], [0.0], [2.0]]
    """
    vectors = np.asarray(vectors, "float64")
    if vectors.ndim != 2 or vectors.shape[1] != len(projection.mean):
        raise ValueError(f"vectors have shape {vectors.shape}: expected (n, {len(projection.mean)})")
    rows = (vectors - projection.mean) @ projection.directions
    return np.concatenate([np.zeros((RESERVED, rows.shape[1])), rows]).astype("float32")


def split_for_fine_tuning(model, first_trained, classes, seed=0):
    """Cut a network in two, and put a new class layer on the upper part.

    The lower part stays as it is, so each picture passes through it once, however often the upper part is trained.
    Batch normalization keeps the means and variances of its first training: a few hundred pictures cannot estimate
    them.

    Args:
        model: Model of `build_efficientnet_lite0` without classes; not changed.
        first_trained: Number of the first block that trains, 1 to 15; 16 for the last convolution alone.
        classes: Number of classes.
        seed: Seed of the class layer's first weights.

    Returns:
        (lower, upper): pixels -> maps of channels, and maps of channels -> logits (n, classes).

    Raises:
        ValueError: If there is no such block, or fewer than two classes.

    Example:
        >>> lower, upper = split_for_fine_tuning(build_efficientnet_lite0(32), first_trained=15, classes=10)
        >>> lower.output_shape[1:] == upper.input_shape[1:], upper.output_shape
        (True, (None, 10))
    """
    if not 1 <= first_trained <= 16 or classes < 2:
        raise ValueError(f"first_trained lies between 1 and 16, and classes are at least 2; found {first_trained}, "
                         f"{classes}")
    names = [layer.name for layer in model.layers]
    block = f"_blocks.{first_trained - 1}"
    cut = f"{block}.sum" if f"{block}.sum" in names else f"{block}._bn2"
    lower = keras.Model(model.input, model.get_layer(cut).output, name="lower")
    top = keras.Model(model.get_layer(cut).output, model.output)
    copy = keras.models.clone_model(top)
    copy.set_weights(top.get_weights())
    for layer in copy.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    start = keras.initializers.GlorotUniform(seed)
    logits = keras.layers.Dense(classes, kernel_initializer=start, name="classes")(copy.output)
    return lower, keras.Model(copy.input, logits, name="upper")


def build_late_fusion(n_items, n_actions, modalities, *, embedding=32, units=64, modality_dropout=0.0, seed=0):
    """Build an LSTM that reads an item's id and its tables, and scores the next item by each on its own.

    The score of an item is the sum of one score for its id and one for each table: late fusion. With modality dropout,
    at every event of the training each of these is left out with that probability, on the way in and on the way out,
    so that each has to do without the others now and then; what is kept is scaled up to make the mean right.

    Args:
        n_items: Size of the item vocabulary, with padding (0) and unknown (1).
        n_actions: Size of the action vocabulary, with padding.
        modalities: Dict from a name, such as `image`, to a table (n_items, k), zeros for padding and unknown; may be
            empty for ids alone.
        embedding: Width of the item embedding; actions get a quarter of it.
        units: Width of the LSTM.
        modality_dropout: Probability in [0, 1).
        seed: Seed of the first weights and of dropout.

    Returns:
        Functional `keras.Model`: {`items`: (n, length) int, `actions`: (n, length) int} -> logits (n, length, n_items).

    Raises:
        ValueError: If a table does not have a row for each token, or dropout is outside [0, 1).

    Example:
        >>> build_late_fusion(5, 6, {"image": np.zeros((5, 3))}, units=8).output_shape
        (None, None, 5)
    """
    for name, table in modalities.items():
        if np.ndim(table) != 2 or len(table) != n_items or not np.isfinite(table).all():
            raise ValueError(f"table {name!r} has shape {np.shape(table)} or a missing value: expected ({n_items}, k)")
    if not 0 <= modality_dropout < 1:
        raise ValueError(f"modality_dropout must lie in [0, 1); found {modality_dropout}")
    seeds = iter(range(1000 * seed, 1000 * seed + 1000))
    layers, glorot = keras.layers, keras.initializers.GlorotUniform

    def sometimes(x, name):
        return layers.Dropout(modality_dropout, noise_shape=(None, None, 1), seed=next(seeds), name=name)(x)

    def embed(ids, size, width, name):
        return layers.Embedding(size, width, keras.initializers.RandomUniform(seed=next(seeds)), name=name)(ids)

    items, actions = (keras.Input((None,), dtype="int32", name=name) for name in ("items", "actions"))
    parts = [sometimes(embed(items, n_items, embedding, "item_embedding"), "id_in")]
    for name, table in modalities.items():
        fixed = layers.Embedding(*np.shape(table), trainable=False, name=f"{name}_table")
        parts.append(sometimes(fixed(items), f"{name}_in"))
        fixed.set_weights([np.asarray(table, "float32")])
    joined = layers.Concatenate(name="joined")([*parts, embed(actions, n_actions, max(embedding // 4, 1), "action_embedding")])
    memory = layers.LSTM(units, return_sequences=True, kernel_initializer=glorot(next(seeds)), seed=next(seeds),
                         recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)), name="encoder")(joined)
    scores = [sometimes(layers.Dense(n_items, kernel_initializer=glorot(next(seeds)), name="next_item")(memory), "id_out")]
    for name, table in modalities.items():
        wanted = layers.Dense(np.shape(table)[1], kernel_initializer=glorot(next(seeds)), name=f"next_{name}")(memory)
        fixed = layers.Dense(n_items, use_bias=False, trainable=False, name=f"{name}_scores")
        scores.append(sometimes(fixed(wanted), f"{name}_out"))
        fixed.set_weights([np.asarray(table, "float32").T])
    outputs = layers.Add(name="scores")(scores) if len(scores) > 1 else scores[0]
    return keras.Model({"items": items, "actions": actions}, outputs, name="late_fusion")


def without(model, modality):
    """Make a copy of a model of `build_late_fusion` that is blind to one modality.

    Args:
        model: The model; not changed.
        modality: Name of a table, or `id`.

    Returns:
        `keras.Model`: the embedding and the scores of this modality are zero.

    Raises:
        ValueError: If the model has no such modality.

    Example:
        >>> model = build_late_fusion(5, 6, {"image": np.ones((5, 3))}, units=8)
        >>> bool(without(model, "image").get_layer("image_table").get_weights()[0].any())
        False
    """
    names = ("item_embedding", "next_item") if modality == "id" else (f"{modality}_table", f"{modality}_scores")
    if names[0] not in {layer.name for layer in model.layers}:
        known = [layer.name[:-6] for layer in model.layers if layer.name.endswith("_table")]
        raise ValueError(f"the model has no modality {modality!r}: it has {['id', *known]}")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for name in names:
        layer = copy.get_layer(name)
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    return copy
