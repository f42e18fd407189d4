"""A self-hosted gateway between programs that speak OpenAI's API and Google's Gemini."""

__version__ = "0.1.0"
