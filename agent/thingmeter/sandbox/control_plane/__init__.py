"""AWS's part of registration: the custom metrics of an account, signed requests, credentials for a certificate."""
