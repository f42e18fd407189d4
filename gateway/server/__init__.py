"""The server side: connections of clients, their requests, and how answers are sent.

`connection_server` makes a `connection` for each client, whose `request_loop` reads requests one
after another; `paths` and `shortcuts` find their handlers, `answers` sends what these return, and
`rejections` answers what never gets that far. Routes and handlers are the app's (`gateway.app`).
"""
