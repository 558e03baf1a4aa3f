"""What the fork server of `forked` imports before anything is asked of it: all that a gateway or a simulator needs."""

import gc
import importlib

from videogate.vendors import discover

for name in (
    "anyio._backends._asyncio",
    "httpcore",
    "jwt",
    "psycopg",
    "pytest",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "videogate.cli",
    "videogate.simulator.server",
):
    importlib.import_module(name)
discover()
gc.collect()
gc.freeze()  # so that no search for garbage of a process copies what all of them share
