"""Measures how cost grows with the rows of the database: `make bench-rows`.

A gateway makes one video; its row is copied within the database until there are as many ended tasks as asked for. Then
the poller's and the list's questions are asked of the file itself (`queries.py`), and a gateway on it is measured.
"""

import argparse
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from random import Random

import programs
import queries
import tables
from calls import CREATE, LIST, RETRIEVE, finished, load

from videogate import simulator
from videogate.cli.children import child

DEEP = 0.9  # how far down the list the deep page is
SAMPLE = 2_000  # videos that are retrieved, picked by chance
COPY = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, number WHERE {table}.{key} = '{id}'
"""


def multiply(path: Path, count: int) -> list[str]:
    """Copy the one task of a database so many times, a second apart. Some of the new ids."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        ((first,),) = database.execute("SELECT id FROM task").fetchall()
        triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        database.execute("PRAGMA synchronous=OFF")
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("BEGIN")
        for table, key in (("task", "id"), ("task_request", "task_id"), ("attempt", "task_id")):
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            database.execute(_copy(table, key, names, first, count))
        for _, statement in triggers:
            database.execute(statement)
        database.execute("COMMIT")
        database.execute("ANALYZE")
        random = Random(1)
        return [_name(random.randint(1, count)) for _ in range(min(count, SAMPLE))]


def _name(number: int) -> str:
    return f"video_{number:032x}"


def _copy(table: str, key: str, names: list[str], first: str, count: int) -> str:
    new = {key: "printf('video_%032x', n)", "created_at": "created_at - n * 1000000", "content_key": "NULL"}
    if table == "attempt":
        names = [name for name in names if name != "id"]
        new |= {"client_ref": "printf('vg%032x', n)", "vendor_task_id": "printf('job%032x', n)"}
    values = ", ".join(new.get(name, name) for name in names)
    return COPY.format(count=count, table=table, columns=", ".join(names), values=values, key=key, id=first)


def measure(count: int, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """One row of each table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quick = ["--port", "0", "--render-seconds", "0.2", "--queue-seconds", "0"]
        with child(["videogate.simulator", *quick], folder=folder, variables={}) as vendors:
            own = {**simulator.environment(vendors.url), "VIDEOGATE_SORA_POLL_INTERVAL": "0.2"}
            with programs.gateway("us", folder, own) as first:
                finished(first, 1)
            path = folder / "data" / "gateway.db"
            ids = multiply(path, count)
            size = path.stat().st_size / programs.MIB
            asked = queries.costs(path, sorted(set(ids)), _name(int(count * DEEP)))
            with programs.gateway("us", folder, own) as gateway:
                reads = load(gateway, RETRIEVE, ids, seconds)
                lists = load(gateway, LIST, [""], seconds)
                creates = load(gateway, CREATE, [""], seconds)
                memory = gateway.memory
    return {
        "rows": count,
        "database, MiB": size,
        "start, s": gateway.started,
        "retrieves/s": reads["rate"],
        "p99, ms": reads["p99"],
        "lists/s": lists["rate"],
        "creates/s": creates["rate"],
        "memory, MiB": memory,
    }, {"rows": count, **asked}


def main() -> None:
    """Measure each number of rows, in a gateway of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    given = parser.parse_args()
    tables.heading(f"{given.seconds:g} s each")
    asked = []
    for number, count in enumerate(given.rows):
        figures, costs = measure(count, given.seconds)
        tables.row(figures, first=not number)
        asked.append(costs)
    print()
    for number, costs in enumerate(asked):
        tables.row(costs, first=not number)


if __name__ == "__main__":
    main()
