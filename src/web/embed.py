"""Makes the table of files that browsers get: embed.py OUT.c FILE...

Each row has the file's name, type, text and an entity tag made from the text, so that a browser asks
again only for what has changed, and is there compressed, once and for all; what is large in no other
form. The rows are in alphabetical order.
"""
import gzip
import hashlib
import pathlib
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
LARGE = 100 * 1024
# ReDoc shows its maker's logo from its maker's host, which would learn who reads our docs: an empty picture.
FOREIGN = {
    "redoc.standalone.js": (
        b"https://cdn.redoc.ly/redoc/logo-mini.svg",
        b"data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=",
    ),
}
HEAD = """/* Made by embed.py. */
#include "web/web.h"

const struct web_file web_files[] = {
"""
BYTES = [
    chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in range(256)
]


def literal(data):
    """A C string of these bytes: octal where C or a trigraph would read something else."""
    return '"' + "".join(BYTES[b] for b in data) + '"'


def chunks(data, size=4096):
    return [data[at : at + size] for at in range(0, len(data), size)]


def read(path):
    data = path.read_bytes()
    foreign, own = FOREIGN.get(path.name, (b"", b""))
    if foreign not in data:
        sys.exit(f"{path}: {foreign.decode()} is not there any more: what does it load now?")
    return data.replace(foreign, own) if foreign else data


def member(data):
    """The two members of a row for a form of the file, which may be absent."""
    if data is None:
        return "     NULL, 0"
    return "\n".join("     " + literal(piece) for piece in chunks(data)) + f",\n     {len(data)}"


def row(path):
    data = read(path)
    tag = hashlib.sha256(data).hexdigest()[:16]
    packed = gzip.compress(data, 9, mtime=0)
    plain = data if len(data) <= LARGE else None
    if plain is not None and len(packed) >= len(plain):
        packed = None
    return (
        f'    {{"{path.name}", "{TYPES[path.suffix]}", "W/\\"{tag}\\"",\n'
        f"{member(plain)},\n{member(packed)}}},\n"
    )


def main():
    out, *names = sys.argv[1:]
    paths = sorted(map(pathlib.Path, names), key=lambda path: path.name)
    for path in paths:
        if path.suffix not in TYPES:
            sys.exit(f"{path}: no type is known for {path.suffix}")
    rows = "".join(row(path) for path in paths)
    tail = "};\nconst size_t n_web_files = sizeof(web_files) / sizeof(web_files[0]);\n"
    pathlib.Path(out).write_text(HEAD + rows + tail, encoding="ascii")


main()
