"""A gRPC peer that does what it likes: a node with a good certificate and bad manners. Messages are spelt by hand, so that
they can be wrong in any way."""

import queue
import subprocess

import grpc

STREAM = "/sluice.config.v1.Config/Stream"
ENROL = "/sluice.enrolment.v1.Enrolment/Enrol"


def _varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(**fields):
    """A protobuf message: f1=... is field 1. int: varint; bytes or str: length-delimited; list: repeated."""
    out = b""
    for name, value in fields.items():
        number = int(name[1:])
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, int):
                out += _varint(number << 3) + _varint(item)
            else:
                item = item.encode() if isinstance(item, str) else item
                out += _varint(number << 3 | 2) + _varint(len(item)) + item
    return out


def decode(data):
    """{field number: [values]}; length-delimited ones as bytes."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            length = varint()
            value = bytes(data[at:at + length])
            at += length
        fields.setdefault(key >> 3, []).append(value)
    return fields


def hello(held=b"", version=0):
    return message(f1=message(f1="hostile", f2="boot", f3=held, f4=version))


def chunk_request(nonce, digests):
    return message(f2=message(f1=nonce, f2=digests))


def ack(nonce, version):
    return message(f3=message(f1=nonce, f2=version))


def status(connections=0):
    return message(f5=message(f1=1, f2=connections))


def _openssl(*arguments, **kwargs):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **kwargs).stdout


def _authority(port):
    """The control plane's own CA certificate: the last of the chain that it shows."""
    shown = _openssl("s_client", "-connect", f"127.0.0.1:{port}", "-showcerts", "-alpn", "h2", input=b"")
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    last = shown[shown.rindex(begin):]
    return last[:last.index(end) + len(end)] + b"\n"


_OPTIONS = [("grpc.ssl_target_name_override", "sluice-control"), ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]


class Enrolment:
    """The enrolment port, for anybody."""

    def __init__(self, control):
        self.control = control
        self.ca = _authority(control.enrolment_port)

    def channel(self):
        return grpc.secure_channel(f"127.0.0.1:{self.control.enrolment_port}",
                                   grpc.ssl_channel_credentials(self.ca), options=_OPTIONS)

    def enrol(self, token, csr, channel=None):
        call = (channel or self.channel()).unary_unary(ENROL)
        return call(message(f1=token, f2=csr), timeout=60)


class Node:
    """Enrols by a token; `stream()` opens Config.Stream as this node, as often as one likes."""

    def __init__(self, control, group, folder):
        token = control.admin.create("enrolment-tokens", group=group)["token"]
        key = folder / "hostile.key"
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        csr = _openssl("req", "-new", "-key", key, "-subj", "/CN=any", "-outform", "DER")
        enrolment = Enrolment(control)
        identity = decode(decode(enrolment.enrol(token, csr))[1][0])
        self.id = identity[1][0].decode()
        self._credentials = grpc.ssl_channel_credentials(enrolment.ca, key.read_bytes(), identity[3][0])
        self._address = f"127.0.0.1:{control.grpc_port}"
        self._channels = []

    def channel(self):
        channel = grpc.secure_channel(self._address, self._credentials, options=_OPTIONS)
        self._channels.append(channel)
        return channel

    def stream(self, channel=None):
        return Stream(channel or self.channel())

    def close(self):
        for channel in self._channels:
            channel.close()


class Stream:
    """`send` queues bytes; `next` gives what came, decoded; `end` waits for the end and gives its status code."""

    def __init__(self, channel):
        self._queue = queue.Queue()
        self._call = channel.stream_stream(STREAM)(iter(self._queue.get, None), timeout=60)

    def send(self, data):
        self._queue.put(data)
        return self

    def next(self):
        return decode(next(self._call))

    def push(self):
        """The next manifest: (nonce, version, digests)."""
        while True:
            found = self.next()
            if 2 in found:
                push = decode(found[2][0])
                manifest = decode(push[2][0])
                digests = [chunk[3][0] if 3 in chunk else None for chunk in map(decode, manifest.get(3, []))]
                return push[1][0].decode(), manifest[1][0], digests

    def end(self):
        """Reads to the end; returns the status."""
        try:
            for _ in self._call:
                pass
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def cancel(self):
        self._queue.put(None)
        self._call.cancel()
