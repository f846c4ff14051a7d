"""Whether a client may publish a message or subscribe to a filter. Pure functions over the policy and the limits."""

from __future__ import annotations

import re

from thingmeter.sandbox.limits import Limits
from thingmeter.sandbox.packets import Publish, Reason
from thingmeter.sandbox.policy import Policy, allowed
from thingmeter.sandbox.topics import is_filter, is_name

REPORT_TOPIC = re.compile(r"\$aws/things/([^/]+)/defender/metrics/(json|cbor)")
ENDS_THE_CONNECTION = frozenset({Reason.QOS_NOT_SUPPORTED, Reason.TOPIC_ALIAS_INVALID, Reason.PACKET_TOO_LARGE})


def judge_publish(publish: Publish, policy: Policy, limits: Limits) -> Reason:
    """Return SUCCESS, or why a client that holds ``policy`` may not publish this."""
    message = publish.message
    if publish.topic_alias:
        return Reason.TOPIC_ALIAS_INVALID
    if message.qos > 1:
        return Reason.QOS_NOT_SUPPORTED
    if len(message.payload) > limits.payload_bytes:
        return Reason.PACKET_TOO_LARGE
    if not is_name(message.topic) or not limits.fits(message.topic):
        return Reason.TOPIC_NAME_INVALID
    return Reason.SUCCESS if allowed(policy.publish, message.topic) else Reason.NOT_AUTHORIZED


def judge_filter(topic_filter: str, policy: Policy, limits: Limits) -> Reason:
    """Return SUCCESS, or why a client that holds ``policy`` may not subscribe to this filter."""
    if topic_filter.startswith("$share/"):
        return Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
    if not is_filter(topic_filter) or not limits.fits(topic_filter):
        return Reason.TOPIC_FILTER_INVALID
    return Reason.SUCCESS if allowed(policy.subscribe, topic_filter) else Reason.NOT_AUTHORIZED
