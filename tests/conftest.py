"""What every test gets: the same examples on each run, pictures without a screen, no network."""

import ipaddress
import os
import socket

import hypothesis
import numpy as np
import pandas as pd
import pytest

from helpers.data import simulator

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

hypothesis.settings.register_profile("course", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("course")

_connect = socket.socket.connect


def _is_here(host):
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _connect_here(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
        raise RuntimeError(f"a test wanted to reach {address[0]}: `make test` must pass without a network")
    return _connect(self, address)


socket.socket.connect = _connect_here


@pytest.fixture
def session_arrays():
    """A function that simulates sessions and returns their actions and items, (sessions, longest), -1 as padding."""

    def draw(platform, sessions, seed):
        log = simulator.simulate(platform, sessions, seed=seed)
        log = log[log["event_type"].isin(simulator.ACTIONS)].sort_values(["session_id", "timestamp"], kind="stable")
        place, session = log.groupby("session_id").cumcount().to_numpy(), log["session_id"].to_numpy()
        actions, items = (np.full((sessions, place.max() + 1), -1) for _ in range(2))
        actions[session, place] = pd.Index(simulator.ACTIONS).get_indexer(log["event_type"])
        items[session, place] = pd.Index(platform.items["item_id"]).get_indexer(log["item_id"])
        return actions, items

    return draw
