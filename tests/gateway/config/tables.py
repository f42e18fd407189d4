"""The beginnings of tables of `config.toml`."""

CREDENTIAL = '[[upstream.credentials]]\nname = "a"\n'
LICENSE = '[[licenses]]\nid = "a"\n'
OTHER = '[[licenses]]\nid = "b"\n'
