"""A peer that makes up message types, for spec/wire_types_spec.lua.

  inventor.py ENDPOINT COUNT RECEIVER    sends COUNT messages, each of a type of
                                         its own, to RECEIVER; none has a sender
"""
import sys

import zmq

endpoint, count, receiver = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = zmq.Context()
push = context.socket(zmq.PUSH)
push.setsockopt(zmq.SNDTIMEO, 60000)  # nothing takes so long, unless it never comes
push.connect(endpoint)
FRAME = ('{"sender_actor": null, "sender_endpoint": null, "receiver": "%s", '
         '"message_type": "Invented%d", "message": {}}')
for number in range(count):
    push.send_string(FRAME % (receiver, number))
push.close(60000)
context.term()
