# SPDX-License-Identifier: MIT
"""pprof.py [--values] <PROFILE: decodes a profile.proto by the numbers of its fields, checks that what
it names is there, and prints it as collapsed stacks. --values: the sums of the sample types instead."""
import os
import sys

data = sys.stdin.buffer.read()


def varint(bytes_, at):
    value = shift = 0
    while True:
        byte = bytes_[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(bytes_):
    """The message's fields: number, and a whole number or bytes."""
    at = 0
    while at < len(bytes_):
        tag, at = varint(bytes_, at)
        if tag & 7 == 0:
            value, at = varint(bytes_, at)
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            n, at = varint(bytes_, at)
            value, at = bytes_[at : at + n], at + n
            assert len(value) == n, "it is cut off"
        yield tag >> 3, value


def all_of(bytes_, field):
    return [value for number, value in fields(bytes_) if number == field]


def one(bytes_, field):
    values = all_of(bytes_, field)
    assert len(values) <= 1, f"field {field} twice"
    return values[0] if values else 0


def packed(bytes_):
    at, values = 0, []
    while at < len(bytes_):
        value, at = varint(bytes_, at)
        values.append(value)
    return values


strings = [text.decode() for text in all_of(data, 6)]
assert strings[0] == "" and len(set(strings)) == len(strings)


def by_id(field):
    messages = {one(message, 1): message for message in all_of(data, field)}
    assert len(messages) == len(all_of(data, field)) and 0 not in messages
    return messages


mappings, locations, functions = by_id(3), by_id(4), by_id(5)
types = [(strings[one(t, 1)], strings[one(t, 2)]) for t in all_of(data, 1)]
assert types == [("objects", "count"), ("space", "bytes")], types
assert strings[one(data, 14)] == "space" and one(data, 9) > 0
assert (strings[one(one(data, 11), 1)], strings[one(one(data, 11), 2)]) == ("space", "bytes")


told = {}  # the function of a file's name


def frame(location):
    address, lines = one(location, 3), all_of(location, 4)
    mapping = mappings[one(location, 2)] if one(location, 2) else None
    if mapping:
        assert one(mapping, 2) <= address < one(mapping, 3)
        assert bool(one(mapping, 7)) or not lines
        int(strings[one(mapping, 6)], 16)
    if lines:
        assert len(lines) == 1
        key = one(location, 2), strings[one(functions[one(lines[0], 1)], 2)]
        assert told.setdefault(key, one(lines[0], 1)) == one(lines[0], 1), f"{key} twice"
        return strings[one(functions[one(lines[0], 1)], 2)]
    address = (address + 1) & ((1 << 48) - 1)
    return f"{os.path.basename(strings[one(mapping, 5)])}+{address:#x}" if mapping else f"{address:#x}"


stacks, sums = {}, [0, 0]
for sample in all_of(data, 2):
    values = packed(one(sample, 2))
    assert len(values) == 2 and min(values) > 0
    sums = [a + b for a, b in zip(sums, values)]
    labels = {strings[one(label, 1)]: label for label in all_of(sample, 3)}
    name = strings[one(labels["process"], 2)]
    if "pid" in labels:
        name += f" ({one(labels['pid'], 3)})"
    frames = [frame(locations[number]) for number in packed(one(sample, 1))]
    text = ";".join([name] + frames[::-1])
    stacks[text] = stacks.get(text, 0) + values[1]
if "--values" in sys.argv:
    print(*sums, one(data, 12))
else:
    for text in sorted(stacks):
        print(text, stacks[text])
