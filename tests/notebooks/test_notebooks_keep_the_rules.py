"""Every notebook keeps every rule of tools/rules.py."""

import pytest
import rules

import notebooks


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in notebooks.find()])
def test_a_notebook_keeps_the_rules(path):
    assert rules.complaints(path) == []
