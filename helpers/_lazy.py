"""Import the files of a package when they are first named (PEP 562)."""

from importlib import import_module
from pkgutil import iter_modules


def lazily(package, path):
    """Return `__getattr__` and `__dir__` for a package whose files are imported on first use.

    Args:
        package: the package's `__name__`, a string.
        path: the package's `__path__`, the folders that hold its files.

    Returns:
        two functions, to be bound to the names `__getattr__` and `__dir__` of the package.

    Raises:
        AttributeError: from the first function, for a name that is no file of the package.

    Example:
        >>> import json
        >>> find, names = lazily("json", json.__path__)
        >>> find("decoder").__name__
        'json.decoder'
        >>> "encoder" in names()
        True

    Source: PEP 562, module `__getattr__` and `__dir__`.
    """

    def names():
        return sorted(file.name for file in iter_modules(path) if not file.name.startswith("_"))

    def find(name):
        if name in names():
            return import_module(f"{package}.{name}")
        raise AttributeError(f"{package} has no {name!r}; it has {', '.join(names())}")

    return find, names
