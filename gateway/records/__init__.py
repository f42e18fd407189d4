"""The figures of exchanges: metrics, and what Gemini bills for them."""
