# SPDX-License-Identifier: MIT
"""schema.py SCHEMA [--lines] <JSON: says what of the JSON isn't as the schema says, and what the
schema would let pass: another schema_version, a member more in any object, one less. 0: nothing.
--lines: a text a line, one at least."""
import copy
import json
import os
import sys
from urllib.parse import urljoin

from jsonschema import Draft202012Validator, RefResolver

path = os.path.abspath(sys.argv[1])
with open(path, encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema, resolver=RefResolver(urljoin("file:", path), schema))
complaints = []


def objects(value, path=()):
    """All objects in it, each with the names and indices that lead there."""
    if isinstance(value, dict):
        yield path, value
    for key, member in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(member, (dict, list)):
            yield from objects(member, path + (key,))


def shorten(value):
    """The same with two elements a list: they are alike."""
    if isinstance(value, list):
        return [shorten(element) for element in value[:2]]
    if isinstance(value, dict):
        return {name: shorten(member) for name, member in value.items()}
    return value


def expect_refused(instance, path, change, what):
    changed = copy.deepcopy(instance)
    place = changed
    for key in path:
        place = place[key]
    change(place)
    if validator.is_valid(changed):
        complaints.append(f"the schema lets pass: {what} at /{'/'.join(map(str, path))}")


def judge(instance):
    for error in validator.iter_errors(instance):
        where = "/".join(str(part) for part in error.absolute_path)
        complaints.append(f"{where} {error.message[:300]}")
    if complaints:
        return
    short = shorten(instance)
    expect_refused(short, (), lambda o: o.update(schema_version=2), "schema_version 2")
    for path, value in list(objects(short)):
        expect_refused(short, path, lambda o: o.update({"Not a member": 0}), "a member more")
        if path and not isinstance(path[-1], int):
            continue  # of figures or settings, some may be left out
        for name in value:
            expect_refused(short, path, lambda o, n=name: o.pop(n), f"no {name}")


texts = sys.stdin.read().splitlines() if "--lines" in sys.argv else [sys.stdin.read()]
if not texts:
    complaints.append("there is no line")
for text in texts:
    judge(json.loads(text))
for complaint in complaints:
    print(complaint, file=sys.stderr)
sys.exit(1 if complaints else 0)
