"""The checks that one field's type and bounds cannot say, and the defaults that another field or the machine gives.

One file for each table, as in settings; ``read_X`` returns the struct of the table X.
"""

from thingmeter.config.rules.aws import read_aws
from thingmeter.config.rules.clock import read_clock
from thingmeter.config.rules.collectors import COLLECTOR_NAME, read_collectors
from thingmeter.config.rules.defender import read_defender
from thingmeter.config.rules.devrev import read_devrev
from thingmeter.config.rules.mqtt import read_mqtt
from thingmeter.config.rules.outbox import read_outbox
from thingmeter.config.rules.registration import read_registration
from thingmeter.config.rules.thing import read_thing
from thingmeter.config.rules.topic import read_topic

__all__ = [
    "COLLECTOR_NAME",
    "read_aws",
    "read_clock",
    "read_collectors",
    "read_defender",
    "read_devrev",
    "read_mqtt",
    "read_outbox",
    "read_registration",
    "read_thing",
    "read_topic",
]
