"""The local cloud: an MQTT 5 broker and a Device Defender on this machine, for trying and testing without an account.

An optional extra that the daemon never imports. Nothing here is shared with the agent's own encoders and clients, so
that a mistake in them is not repeated by what judges them.
"""
