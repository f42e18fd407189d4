"""Sockets, whoever uses them: listening ones, outgoing ones, their buffers, look-ups of names.

HTTP is not known here: requests of clients are in `gateway.server`, calls in `gateway.upstream`.
"""
