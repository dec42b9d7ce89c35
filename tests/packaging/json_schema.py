#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: json_schema.py SCHEMA OUTPUTS COMMANDS

Whether each output is as SCHEMA says. OUTPUTS is a directory with a file `list`, each line of which
has the name of a file there, the exit code and the command that it is of. COMMANDS is a file with
the commands that there are. Beyond that: every command has an output that is an error and one that
is none; every part of SCHEMA has been seen; and SCHEMA refuses each field of an output that is
renamed, gone, or of another type.
"""
import json
import pathlib
import sys

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

# These print an object a line, until they are ended.
BY_LINE = {"events --follow", "trace"}

schema_file, outputs, commands_file = map(pathlib.Path, sys.argv[1:])
schema = json.loads(schema_file.read_text())
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema, format_checker=FormatChecker())
definitions = schema["$defs"]
complaints = []


def validator_of(part):
    return validator.evolve(schema={"$ref": f"#/$defs/{part}", "$defs": definitions})


validators = {part: validator_of(part) for part in definitions}


def documents():
    """Each output as (command, exit code, value)."""
    for line in (outputs / "list").read_text().splitlines():
        name, code, command = line.split("\t")
        text = (outputs / name).read_text()
        texts = text.splitlines() if command in BY_LINE else [text]
        for one in texts:
            try:
                yield command, int(code), json.loads(one)
            except json.JSONDecodeError as error:
                complaints.append(f"{command}: no JSON ({error}): {one!r}")


def wrong_in(command, value):
    """Where and why it is not as what the command prints when it is not refused."""
    part = schema["properties"][command]["anyOf"][0]["$ref"].removeprefix("#/$defs/")
    error = best_match(validators[part].iter_errors(value))
    return f"{error.json_path}: {error.message[:400]}"


def visit(rule, value, seen):
    """Calls seen(part, value) for each part of the schema that a value in `value` is by."""
    if "$ref" in rule:
        part = rule["$ref"].removeprefix("#/$defs/")
        seen(part, value)
        visit(definitions[part], value, seen)
    for choice in rule.get("anyOf", []):
        part = choice.get("$ref", "").removeprefix("#/$defs/")
        if part and validators[part].is_valid(value):
            visit(choice, value, seen)
            break
    if isinstance(value, dict):
        for key, below in rule.get("properties", {}).items():
            if key in value:
                visit(below, value[key], seen)
    if isinstance(value, list) and "items" in rule:
        for one in value:
            visit(rule["items"], one, seen)


def may_lack(part, key):
    rule = definitions[part]["properties"][key].get("$ref")
    return rule == "#/$defs/hex" or (rule == "#/$defs/message" and part != "error")


def changed(part, value):
    """Each (what was done, value) that no command prints."""
    for key, below in value.items():
        yield f"{key} is of another type", value | {key: 1 if isinstance(below, list) else []}
        others = {name: other for name, other in value.items() if name != key}
        yield f"{key} has another name", others | {key + "_too": below}
        if not may_lack(part, key):
            yield f"{key} is gone", others
    yield "there is one field more", value | {"one_more": 1}


def check_refusals(examples):
    count = 0
    for part, value in examples.items():
        for what, other in changed(part, value):
            count += 1
            if validators[part].is_valid(other):
                complaints.append(f"{part}: not refused, though {what}")
    return count


examples, parts, done, refused = {}, set(), set(), set()


def remember(part, value):
    parts.add(part)
    if isinstance(value, dict):
        examples.setdefault(part, value)


total = 0
for command, code, value in documents():
    total += 1
    if command in BY_LINE and "time" in value:
        done.add(command)
    else:
        (refused if code else done).add(command)
        if ("error" in value) != (code != 0):
            complaints.append(f"{command}: exit code {code}, but: {json.dumps(value)[:200]}")
    if command not in schema["properties"]:
        continue
    if not validator.is_valid({command: value}):
        complaints.append(f"{command}: {wrong_in(command, value)}")
        continue
    visit(schema["properties"][command], value, remember)

commands = set(commands_file.read_text().splitlines())
complaints += [f"{one}: not in the schema" for one in commands - set(schema["properties"])]
complaints += [f"{one}: no such command" for one in set(schema["properties"]) - commands - BY_LINE]
complaints += [f"{one}: was never refused" for one in commands - refused]
complaints += [f"{one}: never did anything" for one in (commands | BY_LINE) - done]
complaints += [f"{one}: nothing that is printed is by it" for one in set(definitions) - parts]
count = check_refusals(examples)
print(f"{total} outputs, {len(parts)} parts of the schema, {count} changes that it has to refuse")
for one in dict.fromkeys(complaints):
    print(one)
sys.exit(1 if complaints else 0)
