"""Numbers of items."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.vocabulary import Vocabulary


@pytest.mark.parametrize("values", [
    [30, 10, 20], np.array([30, 10, 20]), pd.array([30, None, 10, 20], "Int64"), ["c", "a", None, "b"],
    pd.Series(["c", "a", "b"], dtype=object), pd.Categorical(["c", "a", "b"], categories=list("dcba")),
    pd.Categorical([30, 10, 20]),
])
def test_items_are_numbered_from_two_in_sorted_order(values):
    vocabulary = Vocabulary.fit(values)
    numbers = vocabulary.encode(values)
    assert numbers.dtype == np.int32
    order = sorted(value for value in values if not pd.isna(value))
    assert numbers.tolist() == [1 if pd.isna(value) else 2 + order.index(value) for value in values]
    assert vocabulary.size == 5


def test_an_item_only_in_test_is_unknown():
    assert Vocabulary.fit([1, 2]).encode([2, 3]).tolist() == [3, 1]
    assert Vocabulary.fit(["a"]).encode(["b", "a"]).tolist() == [1, 2]


def test_rare_items_stay_unknown():
    assert Vocabulary.fit(["a", "b", "a"], min_count=2).items == ("a",)


def test_missing_values_are_unknown_even_if_zero_is_an_item():
    assert Vocabulary.fit([0, 1]).encode(pd.array([0, None], "Int64")).tolist() == [2, 1]


def test_integers_that_became_floats_are_still_found():
    assert Vocabulary.fit([31, 32]).encode([32.0, np.nan]).tolist() == [3, 1]


def test_an_empty_vocabulary_knows_nothing():
    assert Vocabulary.fit([]).size == 2 and Vocabulary().encode([1, 2]).tolist() == [1, 1]


def test_decoding_gives_none_for_padding_and_unknown():
    vocabulary = Vocabulary.fit(["a", "b"])
    assert vocabulary.decode([[0, 1], [2, 3]]).tolist() == [[None, None], ["a", "b"]]
    assert vocabulary.decode([]).shape == (0,)


@pytest.mark.parametrize("number", [-1, 4])
def test_decoding_refuses_numbers_it_never_gave(number):
    with pytest.raises(IndexError, match="expected 0 to 3"):
        Vocabulary.fit(["a", "b"]).decode([number])


def test_aligned_platforms_keep_the_numbers_of_the_source():
    source = Vocabulary.fit([5, 7])
    both = source.extend([1, 7, 3, 3], min_count=1)
    assert both.items == (5, 7, 1, 3) and source.items == (5, 7)
    assert source.extend([1, 3, 3], min_count=2).items == (5, 7, 3)


def test_integers_and_strings_do_not_share_a_vocabulary():
    with pytest.raises(TypeError, match="found mixed-integer"):
        Vocabulary.fit([5]).extend(["a"])


def test_disjoint_platforms_have_a_vocabulary_each():
    assert Vocabulary.fit([5]).encode([5]).tolist() == Vocabulary.fit([9]).encode([9]).tolist() == [2]


@pytest.mark.parametrize("values", [[1.5], ["a", 1], [True]])
def test_other_values_are_a_type_error(values):
    with pytest.raises(TypeError, match="expected all integers or all strings"):
        Vocabulary.fit(values)


def test_a_count_below_one_is_an_error():
    with pytest.raises(ValueError, match="min_count: found 0"):
        Vocabulary.fit(["a"], min_count=0)


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.lists(st.integers(-2**63, 2**63 - 1)), st.lists(st.text())))
def test_saving_and_decoding_lose_nothing(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("vocabulary") / "items.json"
    vocabulary = Vocabulary.fit(values)
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert vocabulary.decode(vocabulary.encode(values)).tolist() == values


@pytest.mark.parametrize("text", ["", "[1]", '{"tokens": []}', '{"items": 3}'])
def test_a_file_that_is_no_vocabulary_is_an_error(tmp_path, text):
    path = tmp_path / "items.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is no vocabulary"):
        Vocabulary.load(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Vocabulary.load(tmp_path / "gone.json")
