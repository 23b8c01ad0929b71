"""MQTT v5 on the asyncio loop: reconnecting, session resumption, back-pressure, and words for reason codes.

    async with MqttClient(settings, client_id="van-1", will=Will(topic, b"offline")) as client:
        await client.subscribe("coldchain/v1/van-1/ack", qos=1)
        async for message in client.messages:
            await client.publish("coldchain/v1/van-1/log", payload, qos=1)

The client connects, and connects again, in the background; nothing that a user of it calls fails because the link
is down. All times here are real seconds: time-outs of the network have nothing to do with domain time.
"""

from gateway.mqtt.backoff import backoff_s
from gateway.mqtt.client import IN_FLIGHT, INBOX, Message, MqttClient, Will
from gateway.mqtt.settings import MqttSettings

__all__ = ["INBOX", "IN_FLIGHT", "Message", "MqttClient", "MqttSettings", "Will", "backoff_s"]
