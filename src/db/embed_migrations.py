"""Makes the table of migrations: embed_migrations.py MIGRATIONS_DIR OUT.c

Takes pairs NNNN_name.pg.sql and NNNN_name.sqlite.sql, numbered from 1 without a gap; in each, a line
"-- down" stands between the way up and the way down.
"""
import pathlib
import re
import sys

NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.(pg|sqlite)\.sql")
DIALECTS = ("pg", "sqlite")
HEAD = """/* Made by embed_migrations.py. */
#include "db/internal.h"

const struct db_migration db_migrations[] = {
"""


def literal(text):
    """One C string per line, so that a compiler's complaint names the line."""
    lines = []
    for line in text.splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
        lines.append(f'        "{escaped}\\n"')
    return "\n".join(lines) or '        ""'


def parts(path):
    halves = re.split(r"^-- down[ \t]*$", path.read_text(encoding="utf-8"), flags=re.M)
    if len(halves) != 2:
        sys.exit(f'{path}: needs one line "-- down"')
    return halves


def read(directory):
    found = {}
    for path in sorted(pathlib.Path(directory).glob("*.sql")):
        match = NAME.fullmatch(path.name)
        if not match:
            sys.exit(f"{path}: a migration is named NNNN_name.pg.sql or NNNN_name.sqlite.sql")
        number, name, dialect = match.groups()
        entry = found.setdefault(int(number), {"name": name})
        if entry["name"] != name:
            sys.exit(f'{path}: number {number} is taken by "{entry["name"]}"')
        entry[dialect] = parts(path)
    for number, expected in zip(sorted(found), range(1, len(found) + 1)):
        if number != expected:
            sys.exit(f"{directory}: migration {expected:04d} is missing")
        for dialect in DIALECTS:
            if dialect not in found[number]:
                sys.exit(f"{directory}: {number:04d}_{found[number]['name']}.{dialect}.sql is missing")
    return found


def main():
    directory, out = sys.argv[1:]
    text = HEAD
    for number, entry in sorted(read(directory).items()):
        text += f'    {{\n        {number},\n        "{entry["name"]}",\n'
        for dialect in DIALECTS:
            for half in entry[dialect]:
                text += literal(half) + ",\n"
        text += "    },\n"
    text += "};\nconst size_t n_db_migrations = sizeof(db_migrations) / sizeof(db_migrations[0]);\n"
    pathlib.Path(out).write_text(text, encoding="utf-8")


main()
