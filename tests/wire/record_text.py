"""What the record tests say of batches, line by line, and what records_test's rewriting does to that."""

import struct


def entries(data):
    """Kind and bytes of each entry of a file."""
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at + 1)
        yield chr(data[at]), data[at + 5 : at + 5 + size]
        at += 5 + size


def entry(kind, batches):
    return kind.encode() + struct.pack(">I", len(batches)) + batches


def _hex(text):
    return "x" + text.encode().hex()


def changed(record, consume):
    """The line of a record after records_test, or None when it is left out."""
    words = record.split(" ")
    case = int(words[1]) % 5
    if case == 1:
        value = "" if words[4] == "null" else words[4][1:]
        words[4] = _hex("<") + value + _hex(">")[1:]
    elif case == 2 and consume:
        return None
    elif case == 3:
        words[3] = "null"
        words[5:] = [f"{_hex('first')}={_hex('1')}", *words[5:], f"{_hex('last')}=null"]
    elif case == 4:
        words[4] = "null"
    return " ".join(words)


def rewritten(lines):
    """The description of what records_test makes of these batches."""
    result, consume, control, batch = [], False, False, None
    for line in lines:
        words = line.split(" ")
        if words[0] == "entry":
            consume = words[1] == "C"
        if words[0] == "batch":
            control, batch = words[7] == "1", len(result)
        if words[0] == "record" and not control:
            line = changed(line, consume)
            if line is None:
                head = result[batch].split(" ")
                head[3] = str(int(head[3]) - 1)
                head[4] = "none" if head[3] == "0" else head[4]
                result[batch] = " ".join(head)
                continue
        result.append(line)
    return result


def first_difference(expected, found):
    """For people; None when they are the same."""
    for number, (a, b) in enumerate(zip(expected, found)):
        if a != b:
            return f"line {number}:\n  expected {a[:300]}\n  found    {b[:300]}"
    if len(expected) != len(found):
        return f"{len(expected)} lines expected, {len(found)} found"
    return None
