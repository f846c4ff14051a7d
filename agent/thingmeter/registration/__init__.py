"""Registration: what is to be declared to the services, what is known to be declared, and when to ask."""
