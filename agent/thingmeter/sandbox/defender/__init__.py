"""A Device Defender of its own: decodes reports strictly, checks every rule, and answers with the reason in words."""
