"""One folder per service that messages are delivered to."""
