"""Sockets: listening ones, outgoing ones, their buffers, and look-ups of names."""
