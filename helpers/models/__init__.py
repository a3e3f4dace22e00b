"""Sequence models, and what is carried from one platform to another."""

from helpers._lazy import lazily

__getattr__, __dir__ = lazily(__name__, __path__)
