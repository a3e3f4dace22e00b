"""The notebooks' own tools: environment check, exercises, pictures."""

from helpers._lazy import lazily

__getattr__, __dir__ = lazily(__name__, __path__)
