"""What a peer that means harm does to a host: for spec/hostile_wire_spec.lua. Plain
sockets and pyzmq, none of our code.

  wire.py CASE ENDPOINT [SEED]

Each case does its worst, then waits until the actor `pong` at ENDPOINT has answered
an honest Ping, and prints `pong after N ms`. What a case has seen itself comes before.
"""
import json
import random
import re
import socket
import struct
import sys
import time

import zmq

PATIENCE_S = 60  # nothing takes so long, unless it never comes
FRAME_LIMIT = 1024 * 1024

context = zmq.Context()


def envelope(sender, endpoint, receiver, message_type, message):
    return {"sender_actor": sender, "sender_endpoint": endpoint, "receiver": receiver,
            "message_type": message_type, "message": message}


class Honest:
    """Asks, on a connection of its own, which stays."""

    def __init__(self, endpoint):
        self.pull = context.socket(zmq.PULL)
        self.me = "tcp://127.0.0.1:%d" % self.pull.bind_to_random_port("tcp://127.0.0.1")
        self.push = context.socket(zmq.PUSH)
        self.push.connect(endpoint)
        self.count = 0

    def ping(self, receiver="pong"):
        """How many seconds the answer took."""
        self.count += 1
        began = time.monotonic()
        self.push.send_json(envelope("honest", self.me, receiver, "Ping", {"count": self.count}))
        while self.pull.poll(PATIENCE_S * 1000):
            if self.pull.recv_json()["message"].get("count") == self.count:
                return time.monotonic() - began
        sys.exit("no pong in %d s" % PATIENCE_S)


def push_to(endpoint):
    push = context.socket(zmq.PUSH)
    push.sndhwm = 100000
    push.connect(endpoint)
    return push


def address(endpoint):
    host, port = re.match(r"tcp://(.*):(\d+)$", endpoint).groups()
    return host, int(port)


def tcp(endpoint, timeout=PATIENCE_S):
    return socket.create_connection(address(endpoint), timeout)


def greet(connection):
    """The handshake of ZMTP 3.0, NULL, by hand."""
    connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
    connection.recv(64, socket.MSG_WAITALL)
    connection.sendall(b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH")
    connection.recv(100)  # theirs, all of it: admitted


def part(size, more=True):
    flags = 1 if more else 0
    return bytes([flags, size]) if size < 256 else bytes([flags | 2]) + struct.pack(">Q", size)


# ---- frames ---------------------------------------------------------------------

NASTY = [b"", b"\0", b"\xef\xbb\xbf{}", b"{", b"}", b"[]", b"null", b"1e400", b"NaN", b"-Infinity", b'"\\ud800"',
         b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"[" * 5000, b'{"a":' * 5000, b"9" * 400, b"-", b"1e", b"0x10",
         b'"' + b"a" * 300 + b'"', b"\x1b[31m", b"%n%s%n", b"\n2026-01-01 error forged", b"true", b"{}{}", b"\\u0000"]


def mutate(random, frame):
    frame = bytearray(frame)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(frame) + 1)
        kind = random.randrange(5)
        if kind == 0:
            frame[at:at] = random.choice(NASTY)
        elif kind == 1:
            frame[at:at + random.randint(1, 12)] = bytes(random.randrange(256) for _ in range(random.randrange(6)))
        elif kind == 2:
            del frame[at:at + random.randint(1, 40)]
        elif kind == 3:
            end = min(len(frame), at + random.randint(1, 60))
            frame[at:at] = frame[at:end]
        elif frame:
            frame[at % len(frame)] ^= 1 << random.randrange(8)
    return bytes(frame)


def mutants(endpoint, honest):
    rng = random.Random(int(sys.argv[3]))
    seeds = [json.dumps(envelope("ping", honest.me, "pong", "Ping", {"count": 1})),
             json.dumps(envelope(None, None, "pong", "Note", {"deep": [[[{"a": [1.5, -2, 1e300]}]]]})),
             json.dumps(envelope("a", "tcp://127.0.0.1:1", "pong/ask#1", "Pong", {"text": "\u00e9\ud83d\ude00"})),
             json.dumps(envelope("a", honest.me, "$rel", "$ack", {"i": "x", "s": 2 ** 63, "c": -1})),
             json.dumps(dict(envelope("a", honest.me, "pong", "Ping", {}), rel={"i": "e", "s": 1, "w": 256}))]
    push = push_to(endpoint)
    for i in range(20000):
        push.send(mutate(rng, rng.choice(seeds).encode()))
    honest.push.close(0)
    honest.push = push  # so that its Ping comes after all of it


def named(endpoint, honest):
    """Frames that have a name in them which is ours, or a type."""
    push = push_to(endpoint)
    for receiver in ["$ask#1", "$rel", "$watch", "$", "$host", "pong/ask#1", "pong/ask#0", "pong/ask#99999999999999999999",
                     "pong/ask#-1", "nobody/ask#1", "/ask#1", "pong@:5001", "pong#1", ".", "..", "pong\u0000", " pong"]:
        push.send_json(envelope(None, None, receiver, "Ping", {"count": -1}))
    for message_type in ["Start", "start", "S_tart", "Shutdown", "Timeout", "Down", "Exit", "Reload", "Stop", "$down",
                         "", "Ping\n", "x" * 255, "x" * 256, "on_ping", "Any"]:
        push.send_json(envelope(None, None, "pong", message_type, {"count": -1}))
    honest.push.close(0)
    honest.push = push


def loud(endpoint, honest):
    """Frames that would be logged, each with something for the terminal of who reads it."""
    push = push_to(endpoint)
    for i in range(5000):
        push.send(b"\x1b[2J\x1b]0;owned\x07\r\n2026-11-20 error forged line %d\n%%n%%s%%n" % i)
        push.send_json(envelope("\x1b[31m", "tcp://\x1b[31m:1", "no\nbody%n", "T\x1b[31m%s" + "y" * 300000 * (i < 3), {}))
    honest.push.close(0)
    honest.push = push


# ---- senders --------------------------------------------------------------------

ODD = ["", "garbage", "tcp://*:1", "tcp://*:*", "tcp://127.0.0.1:0", "tcp://127.0.0.1:99999", "tcp://127.0.0.1",
       "tcp://0x7f.1:5001", "tcp://2130706433:5001", "tcp://127.1:5001", "tcp://256.1.1.1:5001", "tcp://eth0:5001",
       "tcp://no-such-host.invalid:5001", "tcp://no-such-host.invalid.:5001", "tcp://evil:5001", "ipc:///tmp/evil",
       "inproc://evil", "ws://127.0.0.1:1", "http://127.0.0.1:1", "udp://127.0.0.1:1", "tcp://[::1:5001", "tcp://]:1",
       "tcp://127.0.0.1:1;tcp://127.0.0.2:2", "tcp://127.0.0.1:1\u0000", "tcp://255.255.255.255:1", "tcp://224.0.0.1:1",
       "tcp://[ff02::1]:1", "tcp://0.0.0.1:1", "tcp://" + "a" * 250 + ":1", "tcp://[fe80::1%25lo]:1", 7, True, [], {}]


def senders(endpoint, honest):
    push = push_to(endpoint)
    own = [endpoint, endpoint.replace("127.0.0.1", "localhost"), endpoint.replace("127.0.0.1", "0.0.0.0"),
           endpoint.replace("127.0.0.1", "[::ffff:127.0.0.1]")]
    for sender in ODD + own:
        for receiver in ["pong", "nobody"]:
            push.send_json(envelope("evil", sender, receiver, "Ping", {"count": -1}))
    honest.push.close(0)
    honest.push = push


def many_senders(endpoint, honest):
    """10,000 places to answer to, of which none is there; an honest peer beside."""
    push = push_to(endpoint)
    worst = 0
    for i in range(10000):
        where = "tcp://127.%d.%d.%d:%d" % (1 + i % 200, i // 256, i % 256, 1 + i % 50)
        push.send_json(envelope("evil", where, "pong" if i % 2 else "nobody", "Ping", {"count": -1}))
        if i % 500 == 0:
            worst = max(worst, honest.ping())
    print("worst %d ms" % (worst * 1000))


# ---- connections -----------------------------------------------------------------

def strangers(endpoint, _):
    """Everything that talks to a port, but ZeroMQ."""
    frame = json.dumps(envelope(None, None, "pong", "Note", {})).encode()
    rng = random.Random(int(sys.argv[3]))
    says = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"SSH-2.0-x\r\n",
            b"", b"\x01\x00\x00", b"\x01\x00\x00" + bytes([len(frame)]) + frame,  # ZMTP 1.0: greeting and a frame
            b"\xff" + bytes(8) + b"\x7f\x01\x01\x07", b"\xff" + bytes(8) + b"\x7f", b"\xff" * 1000, bytes(1000)]
    says += [bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))) for _ in range(150)]
    for words in says * 3:
        with tcp(endpoint) as connection:
            try:
                connection.sendall(words)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # thrown out already


def after_handshake(endpoint, _):
    """Nonsense after a proper greeting; frames of impossible sizes; a frame that is torn."""
    rng = random.Random(int(sys.argv[3]))
    whole = json.dumps(envelope(None, None, "pong", "Torn", {})).encode()
    for i in range(200):
        with tcp(endpoint) as connection:
            try:
                greet(connection)
                if i % 4 == 0:
                    connection.sendall(b"\x02" + struct.pack(">Q", rng.choice([2 ** 62, 2 ** 64 - 1, FRAME_LIMIT + 1])))
                elif i % 4 == 1:
                    connection.sendall(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))))
                elif i % 4 == 2:
                    connection.sendall(bytes([0, len(whole)]) + whole[:rng.randrange(len(whole))])
                else:  # and an end without manners
                    connection.sendall(bytes([0, len(whole)]) + whole[:-1])
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
    connection = tcp(endpoint)  # byte by byte is slow, and whole
    greet(connection)
    dribbled = json.dumps(envelope(None, None, "pong", "Dribbled", {})).encode()
    for byte in bytes([0, len(dribbled)]) + dribbled:
        connection.sendall(bytes([byte]))
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)  # it was read to its end


def idle_crowd(endpoint, honest):
    crowd = [tcp(endpoint) for _ in range(800)]
    print("crowd %d ms" % (honest.ping() * 1000))
    for connection in crowd[:400]:
        connection.close()
    honest.ping()


def no_descriptors(endpoint, _):
    """More connections than the host has descriptors."""
    crowd = []
    for _ in range(300):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(address(endpoint))
        crowd.append(connection)
    time.sleep(0.2)  # for the host to have met its limit; whether it has, nothing here depends on
    for connection in crowd:
        connection.close()


def endless(endpoint, honest):
    """An admitted peer sends parts of a message that never ends, again and again."""
    sent = 0
    worst = 0
    for size in [FRAME_LIMIT - 1, 1000, 0, FRAME_LIMIT - 1]:
        connection = tcp(endpoint)
        greet(connection)
        burst = (part(size) + bytes(size)) * max(1, 65536 // (size + 2))
        try:
            while sent < 40 << 30:
                connection.sendall(burst)
                sent += len(burst)
        except OSError:
            print("cut")
        worst = max(worst, honest.ping())
    print("worst %d ms" % (worst * 1000))


CASES = {case.__name__: case for case in [mutants, named, loud, senders, many_senders, strangers, after_handshake,
                                          idle_crowd, no_descriptors, endless]}

if __name__ == "__main__":
    endpoint = sys.argv[2]
    honest = Honest(endpoint)
    CASES[sys.argv[1]](endpoint, honest)
    print("pong after %d ms" % (honest.ping() * 1000))
    sys.stdout.flush()
    context.destroy(linger=0)
