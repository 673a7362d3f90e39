"""Started in the background, as with `&` in a script, the tests would pass on a deaf Ctrl-C."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
