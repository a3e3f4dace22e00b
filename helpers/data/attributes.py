"""Items described by what they are: category, brand, price, as numbers that two catalogues share.

Platforms that sell different items still sell the same kinds of items. What is learnt about kinds carries over, if
both catalogues are described by the same numbers: fit the description on one catalogue, describe both with it.
"""

import json
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class AttributeScaler:
    """What was learnt from a catalogue; plain numbers and names.

    Attributes:
        levels: dict from a categorical column to the tuple of its values, in order.
        numeric: dict from a numeric column to (mean, standard deviation) of log(1 + value).
    """

    levels: dict
    numeric: dict

    def to_json(self):
        """The scaler as a JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text):
        """The scaler that `to_json` wrote.

        Raises:
            ValueError: the text is no such scaler.
        """
        try:
            read = {name: {column: tuple(values) for column, values in part.items()}
                    for name, part in json.loads(text).items()}
            return cls(**read)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"no attribute scaler ({error}): expected the text that to_json wrote") from error


def fit_attributes(catalogue, categorical=("category", "tier", "brand"), numeric=("price",)):
    """Learn the levels and scales of a catalogue.

    Args:
        catalogue: DataFrame, one row an item.
        categorical: columns with a few values each.
        numeric: columns with numbers of at least 0, such as prices.

    Returns:
        AttributeScaler.

    Raises:
        KeyError: a column is missing.
        ValueError: a number is negative, or a column holds no value at all.

    Example:
        >>> shoes = pd.DataFrame({"kind": ["boots", "sandals"], "price": [90.0, 40.0]})
        >>> fit_attributes(shoes, ["kind"]).levels
        {'kind': ('boots', 'sandals')}
    """
    _check_columns(catalogue, [*categorical, *numeric])
    levels = {name: tuple(sorted(catalogue[name].dropna().astype(str).unique())) for name in categorical}
    scales = {name: _scale(_logs(catalogue, name)) for name in numeric}
    if empty := [name for name in [*categorical, *numeric] if catalogue[name].isna().all()]:
        raise ValueError(f"column {empty[0]!r} of the catalogue holds no value: leave it out")
    return AttributeScaler(levels, scales)


def extract_attributes(catalogue, scaler, tokens, *, item_id="item_id"):
    """Describe every token of a vocabulary by numbers.

    Args:
        catalogue: DataFrame, one row an item.
        scaler: AttributeScaler from `fit_attributes`.
        tokens: items of the vocabulary, in order, without padding and unknown.
        item_id: name of the column of the items.

    Returns:
        float32 array (len(tokens) + 2, k), and the list of the k names. The first two rows, padding and unknown, are
        zeros. A categorical column is one-hot; a level that the scaler does not know, or a missing one, is
        all zeros. A numeric column is a scaled logarithm, 0 where missing.

    Raises:
        KeyError: a column is missing, or the catalogue lacks a token; it says which.
        ValueError: an item stands twice in the catalogue, or a number is negative.

    Example:
        >>> shoes = pd.DataFrame({"item_id": [7, 8], "kind": ["boots", "sandals"]})
        >>> extract_attributes(shoes, fit_attributes(shoes, ["kind"], []), tokens=[8])[0].tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """
    _check_columns(catalogue, [item_id, *scaler.levels, *scaler.numeric])
    ids = pd.Index(catalogue[item_id])
    if ids.has_duplicates:
        raise ValueError(f"item {ids[ids.duplicated()][0]!r} stands twice in the catalogue: keep one row of it")
    places = ids.get_indexer(pd.Index(tokens))
    if (places < 0).any():
        raise KeyError(f"the catalogue has no item {list(tokens)[int((places < 0).argmax())]!r}, which the vocabulary "
                       "holds: add a row for it")
    columns = {f"{name}={level}": catalogue[name].astype(str).to_numpy() == level
               for name, levels in scaler.levels.items() for level in levels}
    columns |= {name: np.nan_to_num((_logs(catalogue, name) - mean) / deviation)
                for name, (mean, deviation) in scaler.numeric.items()}
    described = np.zeros((len(places) + 2, len(columns)), "float32")
    for number, values in enumerate(columns.values()):
        described[2:, number] = values[places]
    return described, list(columns)


def _check_columns(catalogue, names):
    if missing := [name for name in names if name not in catalogue]:
        found = ", ".join(map(str, catalogue.columns))
        raise KeyError(f"no column {missing[0]!r} in the catalogue: found {found}")


def _logs(catalogue, name):
    values = catalogue[name].to_numpy("float64", na_value=np.nan)
    if (values < 0).any():
        raise ValueError(f"column {name!r} of the catalogue holds {np.nanmin(values):g}: expected numbers of at least 0")
    return np.log1p(values)


def _scale(values):
    """Mean and standard deviation of the values that are there; 0 and 1 where there is nothing to scale."""
    values = values[~np.isnan(values)]
    mean, deviation = (float(values.mean()), float(values.std())) if values.size else (0.0, 1.0)
    return mean, deviation if deviation > 1e-9 else 1.0
