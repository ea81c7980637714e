#!/usr/bin/env python3
"""embed_web.py FILE… : the dashboard's files as the C array web_files (src/authority/web_file.h), on standard output.

Each file stands there as it is and compressed. In pages @VERSION@ becomes a hash of everything, which is part of the other
files' addresses: what a browser keeps is never of another version than the page that asks for it."""
import gzip
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def c_bytes(data):
    lines = []
    for start in range(0, len(data), 24):
        lines.append("        " + "".join(f"{byte}," for byte in data[start : start + 24]))
    return "\n".join(lines)


def main():
    files = {path.name: path for path in sorted(map(pathlib.Path, sys.argv[1:]))}
    contents = {name: path.read_bytes() for name, path in files.items()}
    whole = hashlib.sha256()
    for name, content in contents.items():
        whole.update(f"{name} {len(content)}\n".encode())
        whole.update(content)
    version = whole.hexdigest()[:16]
    for name in contents:
        if name.endswith(".html"):
            contents[name] = contents[name].replace(b"@VERSION@", version.encode())
    print('#include "authority/web_file.h"\n')
    print(f'const char web_version[] = "{version}";\n')
    for number, content in enumerate(contents.values()):
        print(f"static const uint8_t plain_{number}[] = {{\n{c_bytes(content)}}};")
        print(f"static const uint8_t gzip_{number}[] = {{\n{c_bytes(gzip.compress(content, 9, mtime=0))}}};")
    print("\nconst struct web_file web_files[] = {")
    for number, name in enumerate(contents):
        kind = TYPES[files[name].suffix]
        print(f'    {{"{name}", "{kind}", {{plain_{number}, sizeof plain_{number}}}, {{gzip_{number}, sizeof gzip_{number}}}}},')
    print("    {0},\n};")


main()
