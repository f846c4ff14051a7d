"""One file per command: ``HELP``, ``add_arguments(parser)`` and ``run(arguments) -> exit code``.

A command's file imports at its top only what is cheap; what it needs to run it imports when it runs, since every
command's arguments are known to every call.
"""

COMMANDS = ("run", "check", "once", "register", "outbox", "sandbox")
