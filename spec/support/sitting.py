"""Somebody at a terminal who waits for a text, and then presses ^C, or closes the window.

    sitting.py SECONDS TEXT interrupt|close PROGRAM [ARGUMENT...]

Prints the exit code, and all that the program wrote until then, as Python shows it: with
its colours.
"""
import os
import pty
import select
import sys
import time


def main():
    deadline = time.monotonic() + float(sys.argv[1])
    text, how, program = sys.argv[2].encode(), sys.argv[3], sys.argv[4:]
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(program[0], program)
    written = b""

    def read_some():
        nonlocal written
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            return False
        try:
            more = os.read(terminal, 65536)
        except OSError:
            return False
        written += more
        return more != b""

    while text not in written and read_some():
        pass
    if how == "close":
        os.close(terminal)
    else:
        os.write(terminal, b"\x03")
        while read_some():
            pass
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), repr(written.decode("utf-8", "replace")))


main()
