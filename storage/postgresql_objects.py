"""The operator's objects in PostgreSQL: views that read from our tables, triggers and indexes.

Columns and tables of the operator's own are in nobody's way there.
"""

from collections.abc import Collection

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from storage.operator_objects import OperatorObject, OperatorObjects

# dependent_objects_still_exist; feature_not_supported, such as another type of a column in a view
OBSTRUCTED = ("2BP01", "0A000")
ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}  # by pg_trigger.tgenabled

VIEWS = text("""
WITH RECURSIVE dependent(id, depth) AS (
    SELECT oid, 0 FROM pg_class
    WHERE relname = ANY(:made) AND relnamespace = current_schema()::regnamespace
    UNION
    SELECT ev_class, depth + 1
    FROM dependent
    JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = id
    JOIN pg_rewrite ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
    WHERE ev_class <> id
)
SELECT CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END,
    oid::regclass::text AS name, oid
FROM dependent JOIN pg_class ON oid = id
WHERE relkind IN ('v', 'm')
AND NOT (relname = ANY(:made) AND relnamespace = current_schema()::regnamespace)
GROUP BY oid, relkind ORDER BY max(depth), oid
""")
# All that makes a view again: with its owner, its rights, comments, indexes, triggers and rules.
VIEW_SQL = text("""
WITH this AS (
    SELECT oid AS id, oid::regclass::text AS name, reloptions, relowner, relacl
    FROM pg_class WHERE oid = :oid
)
SELECT sql FROM (
    SELECT 1 AS place, format('CREATE %s %s%s AS%s', upper(:type), name,
        ' WITH (' || array_to_string(reloptions, ', ') || ')',
        chr(10) || rtrim(pg_get_viewdef(id), ';')) AS sql FROM this
    UNION ALL SELECT 2, format('ALTER %s %s OWNER TO %I', upper(:type), name,
        pg_get_userbyid(relowner)) FROM this
    UNION ALL SELECT 3, format('GRANT %s ON %s TO %s%s', privilege_type, name,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END) FROM this, aclexplode(relacl)
    UNION ALL SELECT 3, format('GRANT %s (%I) ON %s TO %s%s', privilege_type, attname, name,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
        FROM this JOIN pg_attribute ON attrelid = id, aclexplode(attacl)
    UNION ALL SELECT 4, format('COMMENT ON %s %s IS %L', upper(:type), name, description)
        FROM this JOIN pg_description ON objoid = id AND classoid = 'pg_class'::regclass
        WHERE objsubid = 0
    UNION ALL SELECT 4, format('COMMENT ON COLUMN %s.%I IS %L', name, attname, description)
        FROM this JOIN pg_description ON objoid = id AND classoid = 'pg_class'::regclass
        JOIN pg_attribute ON attrelid = id AND attnum = objsubid
    UNION ALL SELECT 5, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = :oid
    UNION ALL SELECT 5, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE tgrelid = :oid AND NOT tgisinternal
    UNION ALL SELECT 5, rtrim(pg_get_ruledef(oid), ';') FROM pg_rewrite
        WHERE ev_class = :oid AND rulename <> '_RETURN'
) AS statements ORDER BY place
""")
TRIGGERS = text("""
SELECT 'trigger', quote_ident(tgname), tgrelid::regclass::text, pg_get_triggerdef(pg_trigger.oid),
    tgenabled::text
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relname = ANY(:made) AND relnamespace = current_schema()::regnamespace
AND relkind = 'r' AND NOT tgisinternal AND tgname <> ALL(:made) ORDER BY pg_trigger.oid
""")
INDEXES = text("""
SELECT 'index', index.relname, indrelid::regclass::text, pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
JOIN pg_class AS owner ON owner.oid = indrelid
WHERE owner.relname = ANY(:made) AND owner.relnamespace = current_schema()::regnamespace
AND index.relname <> ALL(:made)
AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid) ORDER BY indexrelid
""")


class PostgreSQLObjects(OperatorObjects):
    """A view is made again with its owner, its rights and all that hangs on it."""

    def __init__(self, connection: Connection, made: Collection[str]) -> None:
        super().__init__(connection, made)
        self._view_sql: dict[OperatorObject, list[str]] = {}  # by view, in the order of dependence
        for type, name, oid in self._find(VIEWS):
            sql = list(connection.scalars(VIEW_SQL, {"oid": oid, "type": type}))
            self._view_sql[OperatorObject(type, name, name, ";\n".join(sql))] = sql
        self._triggers = {
            OperatorObject(*row): state for *row, state in self._find(TRIGGERS) if state != "D"
        }
        self._indexes = self._find_indexes()
        self._are_views_dropped = False
        self.found = [*self._indexes, *self._view_sql, *self._triggers]

    def suspend(self) -> None:
        for trigger in self._triggers:
            self.run(f"ALTER TABLE {trigger.table} DISABLE TRIGGER {trigger.name}")

    @property
    def can_clear(self) -> bool:
        return bool(self._view_sql)

    def is_obstructed(self, error: Exception) -> bool:
        return isinstance(error, DBAPIError) and error.orig.sqlstate in OBSTRUCTED

    def clear(self) -> None:
        for view in reversed(self._view_sql):
            self.run(f"DROP {view.type} {view.name}")
        self._are_views_dropped = True

    def restore(self) -> None:
        for view, statements in self._view_sql.items():
            for statement in statements if self._are_views_dropped else ():
                self.run(statement, view)
        for trigger, state in self._triggers.items():
            self.run(f"ALTER TABLE {trigger.table} {ENABLE[state]} TRIGGER {trigger.name}", trigger)
        left = self._find_indexes()
        for index in self._indexes:
            if index not in left:
                self.run(index.sql, index)

    def _find(self, query: object) -> list[tuple]:
        return [tuple(row) for row in self.connection.execute(query, {"made": list(self.made)})]

    def _find_indexes(self) -> list[OperatorObject]:
        return [OperatorObject(*row) for row in self._find(INDEXES)]
