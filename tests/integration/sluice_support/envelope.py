"""Encrypted records, read (and written) by Python's `cryptography` alone, as docs/encryption.md describes them."""

import base64
import hashlib
import json
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"\xf8SL"
GCM, SIV = 1, 2
FIELD_PREFIX = "slc1."


class Envelope:
    """The parts of one; raises ValueError for what is none."""

    def __init__(self, data):
        if data[:3] != MAGIC or data[3] != 1:
            raise ValueError(f"no envelope of version 1: {data[:8].hex()}")
        self.head = data[:6]
        self.algorithm, self.part = data[4], chr(data[5])
        kek_len = data[6]
        self.kek = data[7 : 7 + kek_len].decode()
        at = 7 + kek_len
        (edek_len,) = struct.unpack(">H", data[at : at + 2])
        self.edek = data[at + 2 : at + 2 + edek_len]
        at += 2 + edek_len
        if self.algorithm == GCM:
            self.nonce, self.sealed = data[at : at + 12], data[at + 12 :]
        else:
            self.nonce, self.sealed = None, data[at:]
        if len(self.sealed) < 16:
            raise ValueError("cut off")


def subkey(secret, context, use, length):
    return HKDF(hashes.SHA256(), length, context.encode(), f"sluice 1 {use}".encode()).derive(secret)


def bound_to(head, context, record_key=..., field=None):
    """What is authenticated besides the text. `record_key`: bytes or None where the key is bound, absent where not."""

    def item(kind, data):
        return kind + struct.pack(">I", len(data)) + data

    aad = head + item(b"c", context.encode())
    if record_key is None:
        aad += item(b"n", b"")
    elif record_key is not ...:
        aad += item(b"k", record_key)
    if field is not None:
        aad += item(b"f", field.encode())
    return aad


def open_envelope(data, secret, context, record_key=..., field=None):
    """The text; cryptography.exceptions.InvalidTag where it is not what was sealed."""
    envelope = Envelope(data)
    aad = bound_to(envelope.head, context, record_key, field)
    if envelope.algorithm == GCM:
        return AESGCM(subkey(secret, context, "data", 32)).decrypt(envelope.nonce, envelope.sealed, aad)
    return AESSIV(subkey(secret, context, "key", 64)).decrypt(envelope.sealed, [aad])


def seal(part, kek, edek, secret, context, text, nonce=None, record_key=..., field=None):
    head = MAGIC + bytes([1, SIV if part == "k" else GCM]) + part.encode()
    before = head + bytes([len(kek)]) + kek.encode() + struct.pack(">H", len(edek)) + edek
    aad = bound_to(head, context, record_key, field)
    if part == "k":
        return before + AESSIV(subkey(secret, context, "key", 64)).encrypt(text, [aad])
    return before + nonce + AESGCM(subkey(secret, context, "data", 32)).encrypt(nonce, text, aad)


class Keystore:
    """A sealed keystore file."""

    def __init__(self, path, passphrase):
        outer = json.loads(path.read_text())
        kdf = outer["kdf"]
        key = hashlib.scrypt(
            passphrase.encode(),
            salt=bytes.fromhex(kdf["salt"]),
            n=kdf["n"],
            r=kdf["r"],
            p=kdf["p"],
            maxmem=1 << 30,
            dklen=32,
        )
        aad = f"sluice-keystore 1 scrypt {kdf['n']} {kdf['r']} {kdf['p']} {kdf['salt']}".encode()
        sealed = base64.b64decode(outer["sealed"])
        self.keys = {
            one["name"]: one for one in json.loads(AESGCM(key).decrypt(sealed[:12], sealed[12:], aad))["keys"]
        }

    def unwrap(self, kek, edek):
        (version,) = struct.unpack(">I", edek[:4])
        key = next(one["key"] for one in self.keys[kek]["versions"] if one["version"] == version)
        aad = b"sluice edek 1\0" + edek[:4] + kek.encode()
        return AESGCM(bytes.fromhex(key)).decrypt(edek[4:16], edek[16:], aad)

    def open(self, data, context, record_key=..., field=None):
        envelope = Envelope(data)
        if envelope.algorithm == SIV:
            secret = bytes.fromhex(self.keys[envelope.kek]["fixed"])
        else:
            secret = self.unwrap(envelope.kek, envelope.edek)
        return open_envelope(data, secret, context, record_key, field)

    def open_field(self, text, context, field, record_key=...):
        """The JSON value that stood in a field."""
        assert text.startswith(FIELD_PREFIX), text
        coded = text[len(FIELD_PREFIX) :]
        data = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
        return json.loads(self.open(data, context, record_key, field))
