"""A YAML writer for configurations: dictionaries as blocks, lists of dictionaries as items, the rest in one line."""
import json
import re

PLAIN = re.compile(r"^[A-Za-z./][A-Za-z0-9_./:-]*$")
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def scalar(value):
    if value is None:
        return "null"
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    plain = PLAIN.match(value) and not value.endswith(":") and value.lower() not in WORDS
    return value if plain else json.dumps(value)


def flow(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(str(k))}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    return scalar(value)


def lines(value, indent=""):
    for key, item in value.items():
        name = f"{indent}{scalar(str(key))}:"
        if isinstance(item, dict) and item and any(isinstance(v, (dict, list)) for v in item.values()):
            yield name
            yield from lines(item, indent + "  ")
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            yield name
            for entry in item:
                yield f"{indent}  - {flow(entry)}"
        else:
            yield f"{name} {flow(item)}"


def dump(value):
    return "\n".join(lines(value)) + "\n"
