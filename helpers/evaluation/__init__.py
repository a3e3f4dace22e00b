"""Numbers to trust: metrics, evidence over seeds, baselines, and the limit that no model can pass."""

from helpers._lazy import lazily

__getattr__, __dir__ = lazily(__name__, __path__)
