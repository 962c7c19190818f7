"""The live room: who may do what in it, said to the daemon, and what the daemon tells, said to
pages.

    authority    pure: which action whose
    seats        what is remembered of roles in the database
    live         LiveRooms: join, act, leave, attach a page; `run` follows the daemon
    following    the daemon's rooms as this process sees them
    scenes       a room as its pages are told it
    feed, desk   what one page has yet to be told; which pages there are
    talk_log     who spoke how long
    captions     where a recogniser of speech would come in
    pages        the routes, and the socket

README.md has what a page sends and is told.
"""
