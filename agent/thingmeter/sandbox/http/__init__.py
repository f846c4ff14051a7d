"""HTTPS for the sandbox: messages, the server, and what can go wrong on the way."""
