"""What every test gets: the same examples on each run, pictures without a screen, no network."""

import ipaddress
import os
import socket

import hypothesis

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
