"""What the fake Finnhub does wrong, each by a name. FakeFinnhub.play starts one, .end ends it.

A fault belongs to the place where it acts: `connect` (before a byte of HTTP), `rest` (one answer),
`handshake` (of the stream), `frames` (how trades are sent), `session` (a state of the stream), `now`
(once, on the open stream). Which of them were reported by users of Finnhub, and which are merely
possible, stands in docs/finnhub.md.
"""
import asyncio
import base64
import json
import signal
import socket
import struct
import urllib.parse

import websocket
from finnhub_market import Trade

HTML = "<!doctype html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
LIMIT = '{"error":"API limit reached. Please try again later. Remaining Limit: 0"}'
MEGABYTE = 1 << 20
FAULTS = {}


class Fault:
    def __init__(self, place, act, does):
        self.place, self.act, self.does = place, act, does


def fault(place, name, does):
    def register(act):
        FAULTS[name] = Fault(place, act, does)
        return act
    return register


def reset(writer):
    """RST instead of FIN: what was not read yet is lost."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# --- connect: `certificate` names the one to show; the others get the bare socket ---------------------

for kind in ("expired", "wrong-host", "self-signed", "another-authority"):
    FAULTS[f"certificate-{kind}"] = Fault("connect", kind, f"shows a certificate that is bad: {kind}")


@fault("connect", "connect-reset", "RST as soon as the connection is there")
async def connect_reset(fake, bare):
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@fault("connect", "connect-silent", "accepts and never says a word of TLS")
async def connect_silent(fake, bare):
    await fake.until_stopped()


@fault("connect", "connect-plain", "answers a TLS hello with HTTP in clear text")
async def connect_plain(fake, bare):
    await asyncio.get_running_loop().sock_sendall(bare, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


# --- rest: `call` has the request; call.answer is a whole answer, call.write is bytes ------------------

def plain(name, does, status, body, kind="application/json", **headers):
    @fault("rest", name, does)
    async def act(call):
        await call.answer(status, body, kind, headers)


plain("rest-429", "429, nothing said of when", 429, LIMIT)
plain("rest-html", "200 with an HTML page", 200, HTML, "text/html")
plain("rest-html-as-json", "200 with an HTML page that says it is JSON", 200, HTML)
plain("rest-zeros", "200, all numbers zero", 200, '{"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0}')
plain("rest-401", "401: the key is not known", 401, '{"error":"Invalid API key"}')
plain("rest-403", "403: not in this plan", 403, '{"error":"You don\'t have access to this resource."}')
plain("rest-403-text", "403 without JSON", 403, "Premium Access Required", "text/plain")
plain("rest-500", "500", 500, '{"error":"Internal Server Error"}')
plain("rest-502", "502 with a proxy's page", 502, HTML, "text/html")
plain("rest-empty", "200 with nothing", 200, "")
plain("rest-null", "200 with the JSON null", 200, "null")
plain("rest-error-200", "200 with an error in it", 200, '{"error":"API limit reached. Please try again later. Remaining Limit: 0"}')
plain("rest-cut-json", "200 with half of the JSON", 200, '{"c":261.74,"h":263.31,"l":260.6')
plain("rest-texts", "200 with texts for numbers", 200, '{"c":"261.74","d":"1","dp":"1","h":"263","l":"260","o":"261","pc":"259","t":"now"}')
plain("rest-nan", "200 with NaN", 200, '{"c":NaN,"d":NaN,"dp":NaN,"h":NaN,"l":NaN,"o":NaN,"pc":NaN,"t":NaN}')
plain("rest-1e400", "200 with a number that no double holds", 200, '{"c":1e400,"d":0,"dp":0,"h":1e400,"l":1,"o":1,"pc":1,"t":1e400}')
plain("rest-negative", "200 with prices below zero", 200, '{"c":-5,"d":0,"dp":0,"h":-1,"l":-9,"o":-5,"pc":-5,"t":1697650902}')


@fault("rest", "rest-429-retry-after", "429 with Retry-After, in seconds (retry_after)")
async def rest_429_retry_after(call, retry_after=3):
    await call.answer(429, LIMIT, headers={"Retry-After": retry_after})


@fault("rest", "rest-redirect", "302 to an HTML page of the same host")
async def rest_redirect(call):
    await call.answer(302, HTML, "text/html", {"Location": f"https://localhost:{call.fake.rest_port}/blocked"})


def echo(key, times):
    """Words that have the key in them; where they are cut after 200 letters, a part of it."""
    before = "x" * (0, 180, 184, 188)[times % 4]
    return f"{before}{key} {urllib.parse.quote(key, safe='')} {base64.b64encode(key.encode()).decode()} ?token={key}"


@fault("rest", "rest-echo", "500 with the key in its body and its headers")
async def rest_echo(call):
    said = echo(call.key, call.fake.counts["rest-echo"])
    await call.answer(500, json.dumps({"error": said}), headers={"X-Key": call.key, "Location": f"/?token={call.key}"})


@fault("rest", "rest-old-t", "200 with an earlier day's close (t, seconds)")
async def rest_old_t(call, t, price="150.25"):
    await call.answer(200, f'{{"c":{price},"d":0,"dp":0,"h":{price},"l":{price},"o":{price},"pc":{price},"t":{t}}}')


@fault("rest", "rest-truncated", "ends the connection in the middle of the body")
async def rest_truncated(call):
    await call.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n" + b'{"c":261.74,"h":263')
    call.writer.close()


@fault("rest", "rest-huge", "a body of `megabytes`, the quote at its front")
async def rest_huge(call, megabytes=64):
    await call.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    quote = call.fake.market.quote(call.query.get("symbol", ""))[:-1].encode() + b',"x":"'
    await call.write(b"%x\r\n%s\r\n" % (len(quote), quote))
    for _ in range(megabytes):
        await call.write(b"%x\r\n%s\r\n" % (MEGABYTE, b"x" * MEGABYTE))
        call.fake.counts["huge megabytes"] += 1
    await call.write(b"2\r\n\"}\r\n0\r\n\r\n")


@fault("rest", "rest-drip", "the right answer, a byte every `pause` seconds")
async def rest_drip(call, pause=1.0):
    body = call.fake.market.quote(call.query.get("symbol", "")).encode()
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body):
        await call.write(bytes([byte]))
        await asyncio.sleep(pause)


@fault("rest", "rest-hang", "takes the request and never answers")
async def rest_hang(call):
    await call.fake.until_stopped()


@fault("rest", "rest-reset", "RST in the middle of the answer")
async def rest_reset(call):
    await call.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Le")
    reset(call.writer)


@fault("rest", "rest-no-http", "an answer that is not HTTP")
async def rest_no_http(call):
    await call.write(b"ICY 200 OK\r\n\r\nhello\r\n")
    call.writer.close()


@fault("rest", "rest-endless-headers", "headers without end")
async def rest_endless_headers(call):
    await call.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200_000):
        await call.write(b"X-%d: %s\r\n" % (number, b"y" * 100))


# --- handshake ----------------------------------------------------------------------------------------

def refusal(name, does, status, body, kind="application/json", **headers):
    @fault("handshake", name, does)
    async def act(call):
        await call.answer(status, body, kind, headers)


refusal("stream-401", "refuses the handshake: the key is not known", 401, '{"error":"Invalid API key"}')
refusal("stream-429", "refuses the handshake: too many connects", 429, LIMIT)
refusal("stream-503", "refuses the handshake: down", 503, HTML, "text/html")
refusal("stream-html", "answers the handshake with 200 and a page", 200, HTML, "text/html")


@fault("handshake", "stream-redirect", "answers the handshake with 302")
async def stream_redirect(call):
    await call.answer(302, HTML, "text/html", {"Location": f"https://localhost:{call.fake.rest_port}/blocked"})


@fault("handshake", "stream-bad-accept", "101 with a Sec-WebSocket-Accept of another key")
async def stream_bad_accept(call):
    await call.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: " + websocket.accept("x").encode() + b"\r\n\r\n")
    await call.fake.until_stopped()


@fault("handshake", "stream-hang", "takes the handshake and never answers")
async def stream_hang(call):
    await call.fake.until_stopped()


@fault("handshake", "stream-reset", "RST as the answer to the handshake")
async def stream_reset(call):
    reset(call.writer)


@fault("handshake", "stream-brief", "opens, and sends a trade and FIN with that; `client` is held up until all of it is there")
async def stream_brief(call, client):
    client.send_signal(signal.SIGSTOP)
    trade = Trade("AAPL", "99.99", int(call.fake.clock.now() * 1000))
    await call.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                     + websocket.accept(call.headers["sec-websocket-key"]).encode() + b"\r\n\r\n" + b"".join(whole([trade])))
    call.writer.close()
    await asyncio.sleep(0.2)
    client.send_signal(signal.SIGCONT)


# --- frames: the frames (bytes) that carry these trades -------------------------------------------------

def text(trades):
    return '{"data":[' + ",".join(trade.json() for trade in trades) + '],"type":"trade"}'


def whole(trades):
    return [websocket.frame(websocket.TEXT, text(trades).encode())]


@fault("frames", "repeat-in-frame", "each trade `count` times in its frame (Finnhub-API#143)")
def repeat_in_frame(trades, count=3):
    return whole([trade for trade in trades for _ in range(count)])


@fault("frames", "repeat-frames", "each frame `count` times")
def repeat_frames(trades, count=3):
    return whole(trades) * count


@fault("frames", "out-of-order", "the trades of a frame from last to first")
def out_of_order(trades):
    return whole(trades[::-1])


@fault("frames", "single-trades", "a frame for each trade: milliseconds split over frames")
def single_trades(trades):
    return [part for trade in trades for part in whole([trade])]


@fault("frames", "fragmented", "each message in `count` fragments with a protocol ping between them")
def fragmented(trades, count=4):
    return [websocket.fragments(websocket.TEXT, text(trades).encode(), count, websocket.frame(websocket.PING, b"between"))]


@fault("frames", "binary", "the messages in binary frames")
def binary(trades):
    return [websocket.frame(websocket.BINARY, text(trades).encode())]


@fault("frames", "drip-frames", "the right frames, a byte every `pause` seconds")
def drip_frames(trades, pause):
    return whole(trades)


# --- session: looked at by the stream while they play ----------------------------------------------------

for name, does in {"mute": "the socket stays open and nothing comes out of it, no ping, no pong",
                   "mute-symbol": "no trade of `symbol` any more",
                   "ping-only": "pings of both kinds, no trade",
                   "no-pings": "trades, no ping",
                   "no-pong": "does not answer protocol pings",
                   "deaf": "subscribe and unsubscribe have no effect",
                   "drop-trades": "leaves out every trade (of `symbol`)"}.items():
    FAULTS[name] = Fault("session", None, does)


# --- now -----------------------------------------------------------------------------------------------

def message(name, does, data):
    @fault("now", name, does)
    async def act(stream):
        await stream.write(data)


def said(value):
    return websocket.frame(websocket.TEXT, value if isinstance(value, bytes) else value.encode())


message("garbage-json", "a text frame that is no JSON", said('{"data":[{"p":1,'))
message("not-an-object", "text frames of JSON of other shapes", said("null") + said("[]") + said("42") + said('"trade"') + said("{}") + said(""))
message("unknown-type", "a message of a type that nobody documented", said('{"type":"news","data":[{"headline":"x"}]}'))
message("odd-data", "trade messages whose data is not a list of trades",
        said('{"type":"trade"}') + said('{"type":"trade","data":null}') + said('{"type":"trade","data":{}}') + said('{"type":"trade","data":[null,1,[],"x",{}]}'))
message("deep-json", "JSON nested 100,000 deep", said("[" * 100_000))
message("invalid-utf8", "a text frame that is not UTF-8", said(b'{"type":"\xff\xfe"}'))
message("error-limit", "the error of a third party's fixture", said('{"msg":"API limit reached. Please try again later.","type":"error"}'))
message("error-too-many", "the nameless error", said('{"msg":"Subscribing to too many symbols","type":"error"}'))
message("oversized-frame", "a header that promises 2^62 bytes", b"\x81\x7f" + struct.pack("!Q", 1 << 62))
message("large-message", "a text message of 64 MB of spaces", said(b" " * (64 << 20)))
message("masked-frame", "a masked frame, which a server must not send", websocket.frame(websocket.TEXT, b'{"type":"ping"}', masked=True))
message("reserved-bit", "a frame with a reserved bit set", websocket.frame(websocket.TEXT, b'{"type":"ping"}', reserved=4))
message("unknown-opcode", "a frame with an opcode that has no meaning", websocket.frame(3, b"x"))
message("lone-continuation", "the rest of a message that never began", websocket.frame(0, b"x"))
message("long-ping", "a control frame over 125 bytes", websocket.frame(websocket.PING, b"x" * 126))
message("close-1-byte", "a close frame with half a code", websocket.frame(websocket.CLOSE, b"\x03"))
message("protocol-ping", "a ping of the protocol, which a pong must answer", websocket.frame(websocket.PING, b"are you there"))


@fault("now", "error-echo", "errors that have the key in them")
async def error_echo(stream):
    for times in range(4):
        await stream.say(type="error", msg=echo(stream.key, times))


@fault("now", "close", "a close frame with `code` (none for 1005, none at all for 1006)")
async def close(stream, code=1000, reason="", seconds_max=5):
    stream.leaving = True
    if code != 1006:
        await stream.write(websocket.close(None if code == 1005 else code, reason.encode()))
        await stream.wait_closing(seconds_max)
    stream.end(f"closed with {code}")


@fault("now", "drop", "RST on the open stream")
async def drop(stream):
    reset(stream.writer)
    stream.end("reset")


@fault("now", "half-close", "FIN, and goes on reading")
async def half_close(stream):
    stream.silent = "half-closed"
    stream.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
