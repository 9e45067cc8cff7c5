"""Devices that are Eclipse Paho's client for Python, which knows nothing of DPS or hubs."""

import queue
import threading

import paho.mqtt.client as paho

from case import LIMIT, run
from documented_mqtt import driver


class Connection:
    """To DPS or a hub."""

    def __init__(self, login):
        self.heard, self.subscribed = queue.Queue(), threading.Semaphore(0)
        connected = queue.Queue()
        version = paho.CallbackAPIVersion.VERSION2
        self.client = paho.Client(version, client_id=login.client_id, protocol=paho.MQTTv311)
        self.client.username_pw_set(login.username, login.token)
        self.client.tls_set_context(login.tls())
        self.client.on_connect = lambda client, data, flags, reason, properties: connected.put(reason)
        self.client.on_message = lambda client, data, message: self.heard.put((message.topic, message.payload.decode()))
        self.client.on_subscribe = lambda *_: self.subscribed.release()
        self.client.connect(login.host, 8883)
        self.client.loop_start()
        reason = connected.get(timeout=LIMIT)
        if reason.is_failure:
            raise ConnectionError(str(reason))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, topic_filter):
        self.client.subscribe(topic_filter, qos=1)
        if not self.subscribed.acquire(timeout=LIMIT):
            raise TimeoutError(f"no SUBACK for {topic_filter}")

    def publish(self, topic, text):
        message = self.client.publish(topic, text, qos=1)
        message.wait_for_publish(LIMIT)
        if not message.is_published():
            raise TimeoutError(f"no PUBACK for {topic}")

    def take(self, seconds):
        return self.heard.get(timeout=seconds)


run(driver(Connection))
