#!/usr/bin/env python3
"""pong: answers pings, in Python. Runs until Ctrl-C. The ping may be ours:

  python3 examples/remote_python/pong.py
  troupe run examples/remote_ping_pong/ping.lua --bind :5002

Where to listen can be named (others are told to answer there, so not `*`):

  python3 examples/remote_python/pong.py tcp://10.0.0.7:5001
"""
# expect: Pong ready on port 5001...
# expect: Received ping 1
# expect: Received ping 2
# expect: Received ping 3
# expect: Received ping 4
# expect: Received ping 5
import signal
import sys

from wire import Peer


def on_ping(peer, message):
    count = message.fields.get("count")
    print("Received ping %s" % count, flush=True)
    peer.answer(message, "Pong", {"count": count}, sender="pong")


ACTORS = {"pong": {"Ping": on_ping}}


def handle(peer, message):
    actor = ACTORS.get(message.receiver)
    if actor is None:
        peer.reject(message, "Actor '%s' not found" % message.receiver)
    elif message.type in actor:
        actor[message.type](peer, message)
    elif message.type == "Reject":
        print("Rejected: %s" % message.fields.get("reason"), flush=True)
    else:
        peer.reject(message, "Unknown message type: %s" % message.type)


def main(bind="tcp://127.0.0.1:5001"):
    with Peer(bind) as peer:
        print("Pong ready on port %s..." % peer.endpoint.rsplit(":", 1)[1], flush=True)
        while True:
            message = peer.receive(timeout=1)
            if message:
                handle(peer, message)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
