"""AWS IoT Device Defender: what a report says, how it is encoded, how it is published and what is answered."""
