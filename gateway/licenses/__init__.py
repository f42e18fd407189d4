"""Licenses: keys by their digests, in memory, wherever they come from.

Requests only ask `book`; `watch` keeps it in step with the database through `store`. The other
modules serve the commands on licenses, and the form of keys and rows. Limits are counted in
`gateway.state`.
"""
