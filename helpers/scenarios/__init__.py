"""The decisions that transfer serves: one file to a scenario."""

from helpers._lazy import lazily

__getattr__, __dir__ = lazily(__name__, __path__)
