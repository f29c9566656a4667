"""All that a Python program needs to talk with actors in other processes.

    with Peer("tcp://127.0.0.1:5002") as peer:
        peer.send("pong", "tcp://127.0.0.1:5001", "Ping", {"count": 1}, sender="ping")
        message = peer.receive(timeout=10)

A message is one ZeroMQ frame, a JSON object of five keys. Who receives has a PULL
socket that is bound; who sends has a PUSH socket for each place it sends to. An
answer goes to `sender_actor` at `sender_endpoint`, over a connection of its own.

Needs pyzmq (Debian: python3-zmq). Copy this file; it depends on nothing here.
A Peer belongs to one thread.
"""
import json
import sys
from typing import NamedTuple

import zmq

FRAME_LIMIT = 1024 * 1024  # the other side takes no more
PEERS_LIMIT = 256          # connections kept; a stranger can name any endpoint
LINGER_MS = 1000           # at the end, for what has not left yet


class Message(NamedTuple):
    receiver: str
    type: str
    fields: dict
    sender: str      # "" if there is nobody to answer
    endpoint: str


class Peer:
    def __init__(self, bind, advertise=None):
        """Listens on `bind` (port 0: any free one); others answer to `advertise`."""
        self._context = zmq.Context()
        self._pushes = {}
        self._pull = self._context.socket(zmq.PULL)
        self._pull.setsockopt(zmq.MAXMSGSIZE, FRAME_LIMIT)
        self._pull.bind(bind)
        self.endpoint = advertise or self._pull.getsockopt_string(zmq.LAST_ENDPOINT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._context.destroy(linger=LINGER_MS)

    def send(self, receiver, endpoint, message_type, fields, sender=None):
        """False if so much waits for that place that nothing more is taken; never blocks.

        Without a sender there can be no answer, and no Reject either.
        """
        frame = json.dumps({
            "sender_actor": sender,
            "sender_endpoint": self.endpoint if sender else None,
            "receiver": receiver,
            "message_type": message_type,
            "message": fields,
        }, allow_nan=False)
        try:
            self._push(endpoint).send_string(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self, timeout):
        """The next message, or None if there is none within `timeout` seconds."""
        while self._pull.poll(timeout * 1000):
            message = self._read(self._pull.recv())
            if message:
                return message
        return None

    def answer(self, message, message_type, fields, sender=None):
        """Sends back to where a message came from, if it says where that is."""
        if not message.sender:
            return
        try:
            self.send(message.sender, message.endpoint, message_type, fields, sender)
        except zmq.ZMQError as error:  # the endpoint is what somebody wrote there
            print("cannot answer to %s: %s" % (message.endpoint, error), file=sys.stderr)

    def reject(self, message, reason):
        """Says that a message could not be handled. Has no sender: nobody answers it."""
        self.answer(message, "Reject", {"message_type": message.type, "reason": reason,
                                        "rejected_by": message.receiver})

    def _push(self, endpoint):
        push = self._pushes.pop(endpoint, None)
        if push is None:
            if len(self._pushes) >= PEERS_LIMIT:
                self._pushes.pop(next(iter(self._pushes))).close(linger=0)  # unused longest
            push = self._context.socket(zmq.PUSH)
            push.connect(endpoint)
        self._pushes[endpoint] = push
        return push

    @staticmethod
    def _read(frame):
        """A frame may hold anything. A key that is absent means what null does."""
        try:
            parts = json.loads(frame)
            receiver, message_type = parts.get("receiver") or "", parts.get("message_type") or ""
            fields = parts.get("message") or {}
            sender, endpoint = parts.get("sender_actor") or "", parts.get("sender_endpoint") or ""
            if not all(isinstance(name, str) for name in (receiver, message_type, sender, endpoint)) \
                    or not isinstance(fields, dict):
                raise ValueError("a key has a value of another type")
        except (ValueError, AttributeError, RecursionError) as error:
            print("ignored a frame of %d bytes: %s" % (len(frame), error), file=sys.stderr)
            return None
        if not (sender and endpoint):
            sender = endpoint = ""
        return Message(receiver, message_type, fields, sender, endpoint)
