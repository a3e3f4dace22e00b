"""A vocabulary gives every item a whole number: 0 is padding, 1 is unknown, items start at 2."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

PADDING, UNKNOWN, FIRST = 0, 1, 2


@dataclass(frozen=True)
class Vocabulary:
    """Items and their numbers, fitted on training data alone.

    Two platforms share a vocabulary with `extend` (aligned: the numbers of the source stay, what only the
    target sells follows), or have one each (disjoint).

    Attributes:
        items: tuple of n distinct items, all integers or all strings; item i has the number i + 2.

    Example:
        >>> source = Vocabulary.fit(["shoe", "hat", "hat"])
        >>> source.encode(["hat", "scarf", None]).tolist()
        [2, 1, 1]
        >>> source.extend(["scarf", "hat"]).encode(["hat", "shoe", "scarf"]).tolist()
        [2, 3, 4]
    """

    items: tuple = ()

    @classmethod
    def fit(cls, values, min_count=1):
        """Number the distinct values, in sorted order; missing values are ignored.

        Args:
            values: array or Series (n,) of integers or strings, of the training part only.
            min_count: rarer items stay unknown.

        Raises:
            TypeError: values are neither all integers nor all strings.
            ValueError: `min_count` is below 1.
        """
        if min_count < 1:
            raise ValueError(f"min_count: found {min_count}, expected at least 1")
        counts = pd.Series(values).value_counts(sort=False)  # leaves missing values out
        frequent = counts.index[counts >= min_count]
        _check_kind(frequent)
        return cls(tuple(sorted(frequent.tolist())))

    @property
    def size(self):
        """Numbers in use: the items, padding and unknown; the height of an embedding."""
        return len(self.items) + FIRST

    @cached_property
    def _index(self):
        return pd.Index(self.items)

    def encode(self, values):
        """Numbers of the values: int32 array (n,); 1 where a value is missing or was not in training."""
        values = pd.Series(values)
        missing = values.isna().to_numpy()
        if pd.api.types.is_integer_dtype(values):
            values = values.to_numpy("int64", na_value=0)
        found = self._index.get_indexer(pd.Index(values))  # -1 where there is none
        found[missing] = -1
        found += FIRST  # so that -1 becomes unknown
        return found.astype("int32")

    def decode(self, numbers):
        """Items of the numbers: object array of the same shape; None for padding and unknown.

        Raises:
            IndexError: a number is negative, or not below `size`.
        """
        numbers = np.asarray(numbers, "int64")
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < self.size:
            raise IndexError(f"numbers: found {numbers.min()} to {numbers.max()}, expected 0 to "
                             f"{self.size - 1}")
        return np.array([None, None, *self.items], dtype=object)[numbers]

    def extend(self, values, min_count=1):
        """The vocabulary aligned with another platform: old numbers stay, new items follow, sorted.

        Raises:
            TypeError: the new items are no integers where the old ones are, or no strings.
        """
        known = set(self.items)
        new = tuple(item for item in Vocabulary.fit(values, min_count).items if item not in known)
        _check_kind(pd.Index(self.items + new, dtype=object))
        return Vocabulary(self.items + new)

    def save(self, path):
        """Write the vocabulary as JSON."""
        Path(path).write_text(json.dumps({"items": self.items}, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path):
        """Read a vocabulary that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is no such vocabulary.
        """
        try:
            items = json.loads(Path(path).read_text(encoding="utf-8"))["items"]
            return cls(tuple(items))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path} is no vocabulary ({error!r}): expected {{"items": [...]}}') from error


def _check_kind(index):
    kind = pd.api.types.infer_dtype(index.categories if index.dtype == "category" else index)
    if kind not in ("integer", "string", "empty"):
        raise TypeError(f"values: found {kind}, for example {index[0]!r}, expected all integers or all "
                        "strings; convert them first, for example with astype('Int64') or astype('str')")
