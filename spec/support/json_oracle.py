"""What Python's json makes of documents: one hex line in, one line out.

Out comes "refuse", or four parts with a blank between them: the value described
(see describe), and in hex the text that json.dumps writes with sorted keys as
it does by default, compact with the characters as they are, and indented.
Python is asked to be as strict as it can: no NaN and no infinity.
"""
import json
import struct
import sys


def refuse_constant(name):
    raise ValueError(name)


def describe(value):
    """Type and value: n t f; i INTEGER; d BITS of a double; s HEX; [..] {KEY:..}"""
    if value is None:
        return "n"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int):
        return "i%d" % value
    if isinstance(value, float):
        return "d" + struct.pack(">d", value).hex()
    if isinstance(value, str):
        return "s" + value.encode("utf-8").hex()
    if isinstance(value, list):
        return "[" + ",".join(map(describe, value)) + "]"
    members = sorted((key.encode("utf-8").hex(), describe(member)) for key, member in value.items())
    return "{" + ",".join(key + ":" + member for key, member in members) + "}"


def answer(document):
    try:
        value = json.loads(document.decode("utf-8"), parse_constant=refuse_constant)
        texts = (
            json.dumps(value, sort_keys=True),
            json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
            json.dumps(value, sort_keys=True, indent=2),
        )
        return " ".join([describe(value)] + [text.encode("utf-8").hex() for text in texts])
    except (ValueError, RecursionError):  # UnicodeError is a ValueError
        return "refuse"


for line in sys.stdin:
    print(answer(bytes.fromhex(line)))
