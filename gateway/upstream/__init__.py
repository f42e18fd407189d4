"""Gemini, as the gateway calls it.

`client` takes a call, `attempts` tries it with a credential from `credentials`, as long as `retry`
permits; `request` sends it on a connection of `pool`, and `answer` reads its events. `errors` makes
a `Fault` of every failure, `mending` removes what a model refuses. Requests that call no model, for
the Files API and the list of models, go through `api_client`. Translation is not done here.
"""
