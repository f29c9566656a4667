"""A ZeroMQ publisher for the specs of streams: says its port, then says the same
things again and again, for a subscriber hears only what is said after it came."""

import time

import zmq

LIMIT_S = 60

publisher = zmq.Context().socket(zmq.PUB)
port = publisher.bind_to_random_port("tcp://127.0.0.1")
print(port, flush=True)
began, round_ = time.monotonic(), 0
while time.monotonic() - began < LIMIT_S:
    round_ += 1
    publisher.send(b"USD never")
    publisher.send(b"EUR %d" % round_)
    publisher.send_multipart([b"EUR", b"part", b"\x00\xff"])
    publisher.send(b"EUR" + b"x" * 5000 if round_ % 50 == 0 else b"EUR small")
    time.sleep(0.005)
