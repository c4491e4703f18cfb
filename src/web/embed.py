"""Makes the table of files that browsers get: embed.py DIRECTORY OUT.c

Each row has the file's name, type, text and an entity tag made from the text, so that a browser asks
again only for what has changed. The rows are in alphabetical order.
"""
import hashlib
import pathlib
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEAD = """/* Made by embed.py. */
#include "web/web.h"

const struct web_file web_files[] = {
"""


def literal(line):
    """A C string of these bytes: octal where C or a trigraph would read something else."""
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in line)
    return '"' + "".join(plain) + '"'


def row(path):
    data = path.read_bytes()
    tag = hashlib.sha256(data).hexdigest()[:16]
    lines = "\n".join("     " + literal(line) for line in data.splitlines(keepends=True))
    return (
        f'    {{"{path.name}", "{TYPES[path.suffix]}", "\\"{tag}\\"",\n'
        f'{lines},\n     {len(data)}}},\n'
    )


def main():
    directory, out = sys.argv[1:]
    paths = sorted(pathlib.Path(directory).iterdir(), key=lambda path: path.name)
    for path in paths:
        if path.suffix not in TYPES:
            sys.exit(f"{path}: no type is known for {path.suffix}")
    rows = "".join(row(path) for path in paths)
    tail = "};\nconst size_t n_web_files = sizeof(web_files) / sizeof(web_files[0]);\n"
    pathlib.Path(out).write_text(HEAD + rows + tail, encoding="ascii")


main()
