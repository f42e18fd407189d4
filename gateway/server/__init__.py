"""The server side: connections of clients, their requests, and how answers are sent."""
