"""Holds docs/openapi.yaml and the routes of posternd against each other, in both directions.

Also: every code of a refusal is described.

usage: openapi.py POSTERND OPENAPI_YAML SOURCE
"""
import pathlib
import re
import subprocess
import sys

import yaml

METHODS = ("get", "post", "put", "delete", "patch")


def complaints_of_references(node, root):
    """Every $ref leads somewhere."""
    if isinstance(node, dict):
        target = node.get("$ref")
        if target is not None:
            place = root
            for step in target.removeprefix("#/").split("/"):
                place = place.get(step) if isinstance(place, dict) else None
            if place is None:
                yield f"{target} leads nowhere"
        for value in node.values():
            yield from complaints_of_references(value, root)
    elif isinstance(node, list):
        for value in node:
            yield from complaints_of_references(value, root)


def complaints_of_operation(where, path, item, operation, document):
    """What every operation must say."""
    declared = set()
    for parameter in item.get("parameters", []) + operation.get("parameters", []):
        if "$ref" in parameter:
            parameter = document["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
        if parameter["in"] == "path":
            declared.add(parameter["name"])
    if declared != set(re.findall(r"{(\w+)}", path)):
        yield f"{where}: its path parameters are not those declared"
    responses = operation.get("responses", {})
    kinds = [{"$ref": f"#/components/responses/{kind}"} for kind in ("Problem", "OAuthError", "Page")]
    if responses.get("default") not in kinds:
        yield f"{where}: does not say that it may answer with a problem document"
    if not any(status.startswith(("2", "303")) for status in responses):
        yield f"{where}: does not say what a success looks like"
    body = operation.get("requestBody")
    if body is not None:
        form = body["content"].get("application/x-www-form-urlencoded")
        schema = (form or body["content"]["application/json"])["schema"]
        if form is None and schema.get("additionalProperties") is not False:
            yield f"{where}: unknown members are refused, which its schema does not say"
        for name in schema.get("required", []):
            if name not in schema["properties"]:
                yield f"{where}: requires {name}, which it does not describe"
    security = operation.get("security", document["security"])
    schemes = {name for entry in security for name in entry}
    expected = {
        "public": {"apiKey"} if path == "/api/v1/auth/token" else set(),
        "account": {"session"},
        "administrator": {"session"},
        "host": {"host"},
        "account-or-host": {"session", "host"},
    }[operation["x-access"]]
    if schemes != expected:
        yield f"{where}: its security is {schemes or 'none'}, which its x-access does not fit"


CODES = (
    ("authority/**/*.c", r'call_problem\(\s*call,\s*\d+,\s*"(\w+)"'),
    ("authority/**/*.c", r'call_fault\(\s*call,\s*(?:[^";]*\?\s*)?"(\w+)"'),
    ("authority/**/*.c", r'refuse\(\s*call,\s*\d+,\s*"(\w+)"'),
    ("net/http_*.c", r'answer_refuse\(\s*conn,\s*\d+,\s*"(\w+)"'),
    ("model/policy.h", r"X\((\w+), [45]\d\d\)"),
)


def complaints_of_codes(source, text):
    """Every code that a refusal can carry is somewhere in the description."""
    codes = set()
    for pattern, code in CODES:
        for path in source.glob(pattern):
            codes.update(re.findall(code, path.read_text(encoding="utf-8")))
    if len(codes) < 20:
        yield "the codes of refusals are no longer found in the source"
    for code in sorted(codes):
        if code != "undecided" and f"`{code}`" not in text:  # that one is a broken invariant
            yield f"the code {code} is not described"


def main():
    """Prints every difference; the exit status says whether there was one."""
    posternd, description, source = sys.argv[1:]
    text = pathlib.Path(description).read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    listing = subprocess.run([posternd, "routes"], check=True, capture_output=True, text=True)
    routes = {tuple(line.split()) for line in listing.stdout.splitlines()}
    described = set()
    found = list(complaints_of_references(document, document))
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                where = f"{method.upper()} {path}"
                described.add((method.upper(), path, operation["x-access"], operation["operationId"]))
                found += complaints_of_operation(where, path, item, operation, document)
    found += [f"posternd has {' '.join(route)}, the description does not" for route in sorted(routes - described)]
    found += [f"the description has {' '.join(route)}, posternd does not" for route in sorted(described - routes)]
    found += complaints_of_codes(pathlib.Path(source), text)
    if not routes:
        found.append("posternd lists no routes")
    print("\n".join(found) if found else f"{len(routes)} routes, all described")
    return 1 if found else 0


sys.exit(main())
