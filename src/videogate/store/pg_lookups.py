"""Rows of a PostgreSQL server by their key, for many callers at once.

A trip to the server and a statement cost more than to find a row. So callers who ask at the same moment are answered
by one statement: it is given the keys of all of them as arrays, and is compiled once.
"""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Dialect, Select, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.visitors import replacement_traverse

from videogate.store.compiled import Compiled
from videogate.store.database import Key
from videogate.store.rows import Row


class ManyLookups:
    """Finds rows by their keys, whatever the connection.

    Args:
        dialect: SQLAlchemy's for the server.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[int, tuple[Select[Any], Compiled]] = {}

    def find(self, connection: Connection, keys: Sequence[Key]) -> list[Row | None]:
        """A row or None for each key, in order. The queries are few, and live as long as the program.

        Raises what the driver makes of any key for all of them.
        """
        found: list[Row | None] = [None] * len(keys)
        for compiled, numbers in self._sorted(keys):
            parameters = {name: [keys[number][1][name] for number in numbers] for name in compiled.names}
            for place, *values in connection.exec_driver_sql(compiled.sql, parameters).fetchall():
                found[numbers[place - 1]] = compiled.row(values)
        return found

    def _sorted(self, keys: Sequence[Key]) -> list[tuple[Compiled, list[int]]]:
        """The numbers of the keys of each query."""
        by_query: dict[int, list[int]] = {}
        for number, (query, _) in enumerate(keys):
            by_query.setdefault(id(query), []).append(number)
        return [(self._compiled(keys[numbers[0]][0]), numbers) for numbers in by_query.values()]

    def _compiled(self, query: Select[Any]) -> Compiled:
        if id(query) not in self._known:
            self._known[id(query)] = (query, Compiled(_for_many(query), self._dialect, query))
        return self._known[id(query)][1]


def _for_many(query: Select[Any]) -> Select[Any]:
    """The same for arrays of keys: each row that is found, behind its key's place in the arrays."""
    types = {each.key: each.type for each in query.compile().binds.values()}
    keys = (
        func.unnest(*(bindparam(name, type_=ARRAY(type(kind))) for name, kind in types.items()))
        .table_valued(*(column(name, kind) for name, kind in types.items()), with_ordinality="place")
        .render_derived("asked")
    )

    def by_key(element: Any, **_: Any) -> Any:
        return keys.c[element.key] if isinstance(element, BindParameter) else None

    one = cast("Select[Any]", replacement_traverse(query, {}, by_key))
    found = one.lateral("found")
    return select(keys.c.place, *found.c).select_from(keys.join(found, true()))
