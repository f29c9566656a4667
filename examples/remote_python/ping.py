#!/usr/bin/env python3
"""ping: five pings from Python to a pong in another process, which is ours:

  troupe run examples/remote_ping_pong/pong.lua --bind :5001
  python3 examples/remote_python/ping.py

A pong that is elsewhere, and where to listen ourselves, can be named:

  python3 examples/remote_python/ping.py tcp://10.0.0.7:5001 tcp://10.0.0.5:5002
"""
# expect: Ping starting...
# expect: Starting ping-pong
# expect: Received pong 1
# expect: Received pong 2
# expect: Received pong 3
# expect: Received pong 4
# expect: Received pong 5
# expect: Done!
import sys

from wire import Peer

LAST = 5
PATIENCE = 10  # seconds for each answer


def play(peer, pong):
    print("Starting ping-pong")
    for count in range(1, LAST + 1):
        peer.send("pong", pong, "Ping", {"count": count}, sender="ping")
        message = peer.receive(PATIENCE)
        if message is None:
            return "no answer from pong@%s in %d s" % (pong, PATIENCE)
        if message.type == "Reject":
            return "Rejected: %s" % message.fields.get("reason")
        if (message.type, message.fields) != ("Pong", {"count": count}):
            return "expected Pong %d, but got %s %s" % (count, message.type, message.fields)
        print("Received pong %d" % count)
    print("Done!")
    return 0


def main(pong="tcp://localhost:5001", bind="tcp://127.0.0.1:5002"):
    print("Ping starting...")
    with Peer(bind) as peer:
        return play(peer, pong)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
