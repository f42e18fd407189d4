"""What Gemini's answers mean, whoever reads them: counts of tokens, ends, searches, retirements.

No I/O. The dialects say it in the client's words; `gateway.upstream` books and retries by it. What
requests mean is in `gateway.models` and `gateway.features`, errors in `gateway.upstream.errors`.
"""
