"""What settings must hold together: each mistake is told with its path."""

import pytest

from gateway.settings import ConfigError
from tests.gateway.config.tables import CREDENTIAL, LICENSE


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[upstream]\nbase_url = 'ftp://x'", "upstream.base_url: must look like https://"),
        ("[upstream]\nbase_url = 'https://'", "upstream.base_url: must look like https://"),
        ("[upstream]\nbase_url = 'http://x:abc'", "upstream.base_url: Port could not be cast"),
        ("[upstream]\nbase_url = 'http://x:70000'", "upstream.base_url: Port out of range"),
        ("[upstream]\nbase_url = 'http://[::1'", "upstream.base_url: Invalid IPv6 URL"),
        ("[upstream]\nproxy = 'socks5://x:1'", "upstream.proxy: must look like http://"),
        ("[upstream]\nproxy = 'x:1'", "upstream.proxy: must look like http://"),
        ("[upstream]\nproxy = 'http://x:1/path'", "upstream.proxy: must look like http://"),
        ("[upstream]\nproxy = 'http://me:w@rd/s@x:1'", "upstream.proxy: must look like http://"),
        ("[upstream]\nproxy = 'http://me:%E4%BD%A0@x:1'", "upstream.proxy: must look like http://"),
        (
            "[upstream]\nbase_url = 'http://x'\nproxy = 'http://x:1'",
            "upstream.proxy: needs an https base_url",
        ),
        (
            CREDENTIAL + "key='x'\n" + CREDENTIAL + "key='y'",
            "upstream.credentials[1]: the name 'a'",
        ),
        (LICENSE + "key='x'\n" + LICENSE + "key='y'", "licenses[1]: the name 'a' is used twice"),
        (LICENSE + "key='x'\ntimezone='Mars'", "licenses[0].timezone: 'Mars' is not a time zone"),
        (LICENSE + "key='x'\nnetworks=['1.2.3.4/99']", "licenses[0].networks[0]: '1.2.3.4/99'"),
        (
            "[server]\ntrusted_proxies=['1.2.3.4/8']",
            "server.trusted_proxies[0]: 1.2.3.4/8 has host bits",
        ),
        ("[media]\nallow_hosts=['a', 'b:c']", "media.allow_hosts[1]: 'b:c' has no number"),
        ("[media]\nallow_hosts=['10.0.0.0/40']", "media.allow_hosts[0]: '10.0.0.0/40' does not"),
        ("[server]\nworkers = 2", "server.workers: several processes must share their counters"),
        (
            "[server]\nworkers=2\n[state]\nurl='embedded://'\n[admin]\nport=65535",
            "admin.port: worker 2 would have port 65536",
        ),
        (
            "[models.replacements]\nz = {model='a'}\na = {model='b'}\nb = {model='a'}",
            "models.replacements.z: forms a cycle: z -> a -> b -> a",
        ),
        (
            "[models.replacements]\n'gemini-2.5-flash' = {model='gemini-2.5-flash-preview-05-20'}",
            "gemini-2.5-flash-preview-05-20 -> gemini-2.5-flash -> gemini-2.5-flash-preview-05-20",
        ),
        ('[models.aliases]\n"a/b" = "c"', "models.aliases.a/b: 'a/b' is not a model name"),
        ('[models.aliases]\nsmart-thinking = "c"', "'smart-thinking' is not a model name"),
        ('[models.aliases]\nfast = "c-nothinking"', "fast: 'c-nothinking' is not a model name"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[upstream.credentials]]\nname = " "\nkey = "k"', "upstream.credentials[0]: the name is"),
        ('[[licenses]]\nid = ""\nkey = "k"', "licenses[0]: the name is empty"),
        ('[upstream]\nbase_url = "https://h/?a=b"', "upstream.base_url: must look like"),
        ('[upstream]\nbase_url = "https://u:p@h"', "upstream.base_url: must look like"),
        (
            '[cors]\norigins = ["example.org"]',
            "cors.origins[0]: 'example.org' is not an origin such as",
        ),
        (
            '[cors]\norigins = ["*", "https://a.b/"]',
            "cors.origins[1]: 'https://a.b/' is not an origin",
        ),
        ('[cors]\norigins = ["https://A.b"]', "cors.origins[0]: 'https://A.b' is not an origin"),
        (
            "[server]\nmax_buffered_bytes = 1_000",
            "server.max_body_bytes: is larger than server.max_b",
        ),
        (
            LICENSE + 'key = "k"\nmodels = ["a", ""]',
            "licenses[0].models: an empty text covers no model",
        ),
        (
            '[chat]\nsafety = { HARM_CATEGORY_HARASMENT = "OFF" }',
            "chat.safety: 'HARM_CATEGORY_HARASMENT' is none of HARM_CATEGORY_CIVIC_INTEGRITY, ",
        ),
        (
            '[chat]\nsafety = { harassment = "BLOCK_HIGH" }',
            "chat.safety.harassment: 'BLOCK_HIGH' is none of BLOCK_LOW_AND_ABOVE, ",
        ),
        ("[admin]\nport = 8080", "admin.port: is that of server.port, 8080"),
    ],
)
def test_values_with_which_nothing_could_work_are_refused(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value).startswith(complaint)


def test_origins_are_taken_as_browsers_write_them(load):
    origins = ["*", "null", "https://example.org", "http://localhost:3000", "http://[::1]:8080"]
    origins += ["chrome-extension://abcdef"]
    assert load(f"[cors]\norigins = {origins}").cors.origins == tuple(origins)
