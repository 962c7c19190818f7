"""The club's door: codes that prove a telephone number, sessions, invitations, the waiting list.

Nobody has a password. Who can read what is sent to a number holds the number; who holds a number
gets in with an invitation, from the hosts' list of numbers, or when a host admits them from the
waiting list. Numbers are never stored, only their keyed hashes.
"""
