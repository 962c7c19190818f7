"""What operators run, and a small product that shows how to build on the daemon."""
