"""Frames of the control protocol as bytes, for clients in any language. See README.md."""
