"""Judges speak as tests do when an assertion fails."""

import pytest

pytest.register_assert_rewrite("clients.judges", "clients.stage", "clients.wires")
