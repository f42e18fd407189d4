"""The figures of exchanges: metrics, and what Gemini bills for them.

`gateway.recorder` gathers them when an exchange ends; rows of usage are in `gateway.ledger`, lines
in `gateway.log`.
"""
