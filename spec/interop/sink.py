"""Takes frames for spec/outbound_spec.lua and prints what it took, with none of our code.

  sink.py PORT [STOP]    PORT 0: any that is free

First comes a line `PID ENDPOINT`; then, for each frame, the field `n` of its message.
A message of type End ends it. With STOP it takes nothing before a line comes on
standard input, and its buffers are as small as they can be.
"""
import json
import os
import sys

import zmq

PATIENCE_MS = 60000

context = zmq.Context()
pull = context.socket(zmq.PULL)
pull.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
if len(sys.argv) > 2:
    pull.setsockopt(zmq.RCVHWM, 1)
    pull.setsockopt(zmq.RCVBUF, 4096)
pull.bind("tcp://127.0.0.1:%s" % (sys.argv[1] if sys.argv[1] != "0" else "*"))
print(os.getpid(), pull.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"), flush=True)
if len(sys.argv) > 2:
    with open(sys.argv[2], "rb") as gate:  # a fifo: opens when somebody writes
        gate.read()
while True:
    frame = json.loads(pull.recv())
    if frame["message_type"] == "End":
        break
    print(frame["message"]["n"], flush=True)
print("end", flush=True)
context.destroy(linger=0)
