"""Event logs made ready for a model: read, cleaned, cut into sessions, split without leaks."""

from helpers._lazy import lazily

__getattr__, __dir__ = lazily(__name__, __path__)
