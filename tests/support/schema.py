# SPDX-License-Identifier: MIT
"""schema.py SCHEMA <JSON: says what of the JSON isn't as the schema says; 0 if all of it is."""
import json
import sys

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
errors = list(Draft202012Validator(schema).iter_errors(json.load(sys.stdin)))
for error in errors:
    print("/".join(str(part) for part in error.absolute_path), error.message[:300], file=sys.stderr)
sys.exit(1 if errors else 0)
