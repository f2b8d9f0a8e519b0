"""The server's side of RFC 6455, as far as a fake needs it: bytes of frames, good and bad, and a reader."""
import base64
import hashlib
import os
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def accept(key):
    """The Sec-WebSocket-Accept to a Sec-WebSocket-Key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def frame(opcode, payload=b"", final=True, reserved=0, masked=False):
    """One frame (section 5.2). A server must not mask: `masked` is a fault to play."""
    head = bytes([final << 7 | reserved << 4 | opcode])
    length, mask = len(payload), masked << 7
    if length < 126:
        head += bytes([mask | length])
    elif length < 1 << 16:
        head += struct.pack("!BH", mask | 126, length)
    else:
        head += struct.pack("!BQ", mask | 127, length)
    if masked:
        key = os.urandom(4)
        return head + key + unmask(payload, key)
    return head + payload


def fragments(opcode, payload, count, between=b""):
    """A message in `count` frames, a control frame between them if wanted (section 5.4)."""
    size = max(1, -(-len(payload) // count))
    pieces = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    return between.join(frame(opcode if i == 0 else 0, piece, final=i == len(pieces) - 1) for i, piece in enumerate(pieces))


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def unmask(payload, key):
    size = len(payload)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")


async def read(reader):
    """(final, opcode, payload) of the client's next frame; ValueError where the client breaks the RFC."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length >= 126:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
    if not second & 0x80:
        raise ValueError("a client's frame is not masked")
    if first & 0x70 or first & 0x0F not in (0, TEXT, BINARY, CLOSE, PING, PONG):
        raise ValueError(f"first byte {first:#x}")
    if length > 1 << 20 or first & 0x08 and (length > 125 or not first & 0x80):
        raise ValueError(f"a frame of {length} bytes with first byte {first:#x}")
    key = await reader.readexactly(4)
    return bool(first & 0x80), first & 0x0F, unmask(await reader.readexactly(length), key)
