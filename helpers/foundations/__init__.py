"""Losses, optimizers and layers in NumPy: the derivations as code."""

from helpers._lazy import lazily

__getattr__, __dir__ = lazily(__name__, __path__)
