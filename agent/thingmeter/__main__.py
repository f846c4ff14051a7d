"""``python -m thingmeter`` is the command ``thingmeter``."""

from thingmeter.cli import main

if __name__ == "__main__":
    main()
