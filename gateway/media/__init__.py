"""Media parts: which formats Gemini accepts, and how their bytes are obtained.

`parts` finds the media of a request, and `intake` takes them in: `fetch` and `data_url` get their
bytes, `formats` determines what they are, `uploads` and `files` store large ones. The Files API
itself is in `gateway.upstream.files`.
"""
