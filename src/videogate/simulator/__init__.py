"""The vendors' wire protocols as a local server: for trying the gateway with no key, and for tests.

It imports nothing of the gateway, so that one misreading of a vendor's documents cannot hide in both. Adding a vendor
is one module here; see `vendor.py` for what it holds.
"""

from videogate.simulator.options import Options
from videogate.simulator.server import create_app, environment, serve

__all__ = ["Options", "create_app", "environment", "serve"]
