"""Runs hosts that watch their files on a terminal, and types there: for the spec
of `troupe run -w`.

    enter.py TROUPE IDLE.lua READER.lua    says what it has seen, line by line
"""

import fcntl
import os
import pty
import select
import sys
import termios
import time

PATIENCE_S = 60

troupe, idle, reader = sys.argv[1:]

master, slave = pty.openpty()
if os.fork() == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in range(3):
        os.dup2(slave, descriptor)
    os.close(master)
    os.environ["PS1"] = "$ "
    os.execvp("bash", ["bash", "--norc", "--noediting", "-i"])
os.close(slave)

heard = ""


def expect(text, but_not=None):
    """Reads until `text` comes, and forgets what was before, which has no `but_not`."""
    global heard
    end = time.monotonic() + PATIENCE_S
    while text not in heard:
        left = end - time.monotonic()
        if left <= 0 or not select.select([master], [], [], left)[0]:
            sys.exit("no %r, but: %s" % (text, heard))
        heard += os.read(master, 65536).decode(errors="replace").replace("\r", "")
    before, heard = heard.split(text, 1)
    if but_not and but_not in before:
        sys.exit("%r before %r: %s" % (but_not, text, before))


def say(text):
    os.write(master, (text + "\n").encode())


say("stty -echo; %s run -w %s" % (troupe, idle))
expect("idle\n")
say("")
expect("nothing has changed (Enter)\n")
print("Enter reloads")
say("not this")
say("  ")
say("")
expect("nothing has changed (Enter)\n")
print("other lines do not")

os.write(master, b"\x1a")  # Ctrl-Z
expect("Stopped")
say("bg")
say("")
say("echo shell")
expect("shell\n", but_not="nothing has changed")
say("fg")
say("")
expect("nothing has changed (Enter)\n", but_not="nothing has changed")
print("not in the background")
os.write(master, b"\x03")  # Ctrl-C
expect("$ ")

say("%s run -w %s" % (troupe, reader))
expect("reading\n")
say("")
expect("read ''\n", but_not="nothing has changed")
print("a script that reads has its lines")
