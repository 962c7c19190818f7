"""Whole rooms in virtual time: the real worker, real SRTP, a seeded network and simulated clients.

Nothing here sleeps, opens a socket or reads a clock: the same scenario and seed give the same
datagrams, byte for byte. `python -m tests.sim --scenario NAME --seed N` repeats a failure. It
proves nothing about browsers, OpenSSL, kernel sockets or CPU time; those have tests of their
own.
"""
