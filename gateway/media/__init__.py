"""Media parts: which formats Gemini takes, and how their bytes are got."""
