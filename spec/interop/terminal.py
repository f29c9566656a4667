"""Runs a host in a terminal's background, for the specs of streams: it must neither
be stopped nor take what is typed for the shell, and read when it comes to the front.

    terminal.py COMMAND    says what it has seen, line by line
"""

import fcntl
import os
import pty
import select
import sys
import termios
import time

PATIENCE_S = 30

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


def expect(text):
    """Reads until `text` comes, and forgets what was before."""
    global heard
    end = time.monotonic() + PATIENCE_S
    while text not in heard:
        left = end - time.monotonic()
        if left <= 0 or not select.select([master], [], [], left)[0]:
            sys.exit("no %r, but: %s" % (text, heard))
        heard += os.read(master, 65536).decode(errors="replace").replace("\r", "")
    heard = heard.split(text, 1)[1]


def say(text):
    os.write(master, (text + "\n").encode())


say("stty -g >before; stty -echo; " + sys.argv[1] + " &")
expect("ready\n")
say("echo first; jobs; echo second")
expect("first\n")
expect("Running")
expect("second\n")
print("the shell has its lines, the host runs")
say("fg")
say("hello")
expect("got hello\n")
print("in front it reads")
say("quit")
expect("got quit\n")
expect("$ ")
say("stty echo; stty -g >after; cmp before after && echo the same; exit")
expect("the same\n")
print("the terminal is as it was")
