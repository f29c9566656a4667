"""A pong as one writes it with pyzmq and json alone, for comparison: pong.py PORT COUNT"""
import json
import sys

import zmq

port, count = int(sys.argv[1]), int(sys.argv[2])
context = zmq.Context()
inlet = context.socket(zmq.PULL)
inlet.bind(f"tcp://127.0.0.1:{port}")
outlets = {}
for _ in range(count):
    envelope = json.loads(inlet.recv())
    endpoint = envelope["sender_endpoint"]
    if endpoint not in outlets:
        outlets[endpoint] = context.socket(zmq.PUSH)
        outlets[endpoint].connect(endpoint)
    outlets[endpoint].send_string(json.dumps({
        "sender_actor": "pong",
        "sender_endpoint": f"tcp://localhost:{port}",
        "receiver": envelope["sender_actor"],
        "message_type": "Pong",
        "message": {"count": envelope["message"]["count"]},
    }))
context.destroy(linger=1000)
