"""Media parts: which formats Gemini accepts, and how their bytes are obtained."""
