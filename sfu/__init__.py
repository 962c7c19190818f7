"""Rostrum's media daemon: audio rooms over WebRTC, steered by the control protocol."""
