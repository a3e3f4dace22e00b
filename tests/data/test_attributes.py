"""Items described by what they are."""

import numpy as np
import pandas as pd
import pytest

from helpers.data.attributes import AttributeScaler, extract_attributes, fit_attributes
from helpers.data.simulator import make_shop

SHOES = pd.DataFrame({
    "item_id": ["a", "b", "c"],
    "kind": ["boots", "sandals", None],
    "price": [1.0, np.nan, 7.0],
})
SCALER = fit_attributes(SHOES, ["kind"])


def describe(catalogue=SHOES, tokens=("c", "a", "b")):
    return extract_attributes(catalogue, SCALER, tokens)


def test_rows_follow_the_vocabulary_after_padding_and_unknown():
    found, names = describe()
    assert names == ["kind=boots", "kind=sandals", "price"] and found.dtype == np.float32
    np.testing.assert_allclose(found, [[0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 0, -1], [0, 1, 0]], atol=1e-6)


def test_a_level_that_was_not_fitted_is_all_zeros():
    found, _ = describe(SHOES.assign(kind="clogs"))
    assert not found[:, :2].any()


def test_a_constant_price_is_zero():
    flat = SHOES.assign(price=3.0)
    assert not extract_attributes(flat, fit_attributes(flat, []), ["a"])[0].any()


def test_platforms_of_one_shop_are_described_alike():
    shop = make_shop({"web": 0.0, "app": 0.2}, items=40)
    scaler = fit_attributes(shop["web"].items)
    shared = sorted({*shop["web"].items["item_id"]} & {*shop["app"].items["item_id"]})
    web, app = (extract_attributes(shop[name].items, scaler, shared)[0] for name in shop)
    np.testing.assert_array_equal(web, app)


def test_the_scaler_survives_json():
    assert AttributeScaler.from_json(SCALER.to_json()) == SCALER
    with pytest.raises(ValueError, match="no attribute scaler"):
        AttributeScaler.from_json('{"levels": 3}')


@pytest.mark.parametrize("change, error, message", [
    (lambda shoes: shoes.drop(columns="kind"), KeyError, "no column 'kind' in the catalogue: found item_id, price"),
    (lambda shoes: shoes.iloc[1:], KeyError, "the catalogue has no item 'a'"),
    (lambda shoes: pd.concat([shoes, shoes]), ValueError, "item 'a' stands twice"),
    (lambda shoes: shoes.assign(price=-2.0), ValueError, "'price' of the catalogue holds -2"),
])
def test_a_catalogue_that_does_not_fit_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        describe(change(SHOES))


@pytest.mark.parametrize("columns", [(["kind"], []), ([], ["price"])])
def test_an_empty_column_is_refused(columns):
    empty = SHOES.assign(kind=None, price=np.nan)
    with pytest.raises(ValueError, match="holds no value"):
        fit_attributes(empty, *columns)
