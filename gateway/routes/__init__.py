"""The addresses beside the chat: models, usage, Gemini's own API, health, metrics."""
