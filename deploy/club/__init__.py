"""A complete small drop-in audio club in front of the daemon: the reference backend."""
