"""The worker: forwarder, rooms and transports put together, pure. Commands in, events out.

worker     the inputs and outputs, and in which order things are done
inbound    datagrams that compiled code leaves to Python; `resends` is what listeners ask for again
guard      what one participant's input may cost when it meets a bug
intake     whether anybody new is taken, by limit; `overload` and `drain` are parts of it
registry   the rooms and peers, and the only place that adds and removes them
commands   what each command of the control protocol does
negotiator offers answered
rows       a newcomer's rows in the forwarder
findings   what a connection found out, entered where it belongs
census     how many people there are, by role
peers      which transport belongs to which participant
mixes      the rooms' mixes, and the way of their sound to the mixer and back
lines      when a listener's line is asked what it carries, and what follows; `observation` is what
           its client told, `demands` what its room would send, `stamps` whose packets are numbered
invariant  whether everybody is sent what it should be
backlog    DTLS that waits, so that handshakes never hold up media
timers     one heap of deadlines for all of them
settings   what a worker is told at its start
"""

from sfu.worker.settings import WorkerSettings
from sfu.worker.worker import Worker

__all__ = ["Worker", "WorkerSettings"]
