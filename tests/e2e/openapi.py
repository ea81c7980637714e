"""Holds docs/openapi.yaml and the routes of posternd against each other, in both directions.

usage: openapi.py POSTERND OPENAPI_YAML
"""
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
    if responses.get("default") != {"$ref": "#/components/responses/Problem"}:
        yield f"{where}: does not say that it may answer with a problem document"
    if not any(status.startswith("2") for status in responses):
        yield f"{where}: does not say what a success looks like"
    body = operation.get("requestBody")
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        if schema.get("additionalProperties") is not False:
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
    }[operation["x-access"]]
    if schemes != expected:
        yield f"{where}: its security is {schemes or 'none'}, which its x-access does not fit"


def main():
    """Prints every difference; the exit status says whether there was one."""
    posternd, description = sys.argv[1:]
    with open(description, encoding="utf-8") as file:
        document = yaml.safe_load(file)
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
    if not routes:
        found.append("posternd lists no routes")
    print("\n".join(found) if found else f"{len(routes)} routes, all described")
    return 1 if found else 0


sys.exit(main())
