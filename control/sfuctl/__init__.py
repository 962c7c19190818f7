"""`sfuctl`: the daemon's commands from a shell.

program     the console script: connects, asks, prints; exit statuses
arguments   the command line as parsers, made from the verbs
connecting  address, key and TLS: the client that the options describe
usage       what is wrong with how it was called
verbs       one verb for each command of the protocol
results     what commands answer, as people read it
lines       events, one line each
watch       a room live: follows its events, draws when something changed
screen      what a room looks like, as lines of text
terminal    drawing in place, keys, resizes
completion  what shells need to complete, made from the parsers
tables      aligned columns, times, names that cannot move a cursor
"""

from control.sfuctl.program import main

__all__ = ["main"]
