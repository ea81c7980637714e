#!/usr/bin/env python3
"""Holds a manual page against the table of commands, as --help tells it.

usage: man_page.py POSTERN PAGE.scd

Every command must have an entry in the page, and every option of it must stand in that entry, by name or letter; what --help does not know must
not be in the page as a command. Prints what is missing, a line each; exits 1 then.
"""
import re
import subprocess
import sys

postern, page = sys.argv[1:]
missing = []


def help_of(path):
    return subprocess.run([postern, *path, "--help"], check=True, capture_output=True, text=True).stdout


def read_help(path):
    """The names of the subcommands, and of the options."""
    commands, options, in_options = [], [], False
    for line in help_of(path).splitlines()[1:]:
        in_options = in_options or line == "Options:"
        option = re.match(r"^  (?:-(\w),|   ) --([\w-]+)", line)
        command = re.match(r"^  ([a-z][\w-]*) +\S", line)
        if in_options and option:
            options.append((option[1], option[2]))
        elif not in_options and command:
            commands.append(command[1])
    return commands, options


def leaves(path=()):
    commands, options = read_help(path)
    if path:
        yield path, options, bool(commands)
    for command in commands:
        yield from leaves((*path, command))


def entries():
    """(the words of each command of an entry, the text of the entry)"""
    with open(page, encoding="utf-8") as file:
        blocks = re.split(r"\n(?=\*postern[ *])", file.read())
    heads, text = [], ""
    for block in blocks[1:]:
        block = re.split(r"\n#", block)[0]
        head, _, body = block.partition("\n")
        # Heads that share a body stand above each other, all but the last with a line break.
        heads, text = (heads + [head], text + block) if heads else ([head], block)
        if head.endswith("++") and not body.strip():
            continue
        for one in heads:
            yield one, text
        heads, text = [], ""


def commands_of(head):
    """"*postern admin account show* | *disable* _NAME_" is two commands."""
    first, *rest = re.findall(r"\*([^*]+)\*", re.split(r"[\[_]", head.replace("\\", ""))[0])
    words = first.split()[1:]
    yield tuple(words)
    for other in rest:
        if re.fullmatch(r"[a-z][\w-]*", other):
            yield (*words[:-1], other)


documented = {}
for entry_head, entry_text in entries():
    for found in commands_of(entry_head):
        documented[found] = documented.get(found, "") + entry_text

shared = set(read_help(())[1])
known = set()
for where, names, is_group in leaves():
    known.add(where)
    if is_group:
        continue
    if where not in documented:
        missing.append(f"{' '.join(where)}: the page has no entry")
        continue
    text_of = documented[where].replace("\\", "")
    for letter, name in names:
        told = f"--{name}*" in text_of or (letter and f"*-{letter}*" in text_of)
        if (letter, name) not in shared and not told:
            missing.append(f"{' '.join(where)}: the page does not tell --{name}")
for where in documented:
    if where not in known and where:
        missing.append(f"{' '.join(where)}: the page has it, --help does not")
print("\n".join(missing))
sys.exit(1 if missing else 0)
