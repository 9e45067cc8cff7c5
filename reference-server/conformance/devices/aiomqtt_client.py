"""Devices that are aiomqtt, which knows nothing of DPS or hubs."""

import asyncio
import queue
import threading

import aiomqtt

from case import LIMIT, run
from documented_mqtt import driver

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


def wait_for(doing):
    return asyncio.run_coroutine_threadsafe(doing, loop).result(LIMIT)


class Connection:
    """To DPS or a hub."""

    def __init__(self, login):
        self.heard = queue.Queue()
        wait_for(self.open(login))

    async def open(self, login):
        self.client = aiomqtt.Client(
            login.host,
            8883,
            identifier=login.client_id,
            username=login.username,
            password=login.token,
            tls_context=login.tls(),
            protocol=aiomqtt.ProtocolVersion.V311,
        )
        await self.client.__aenter__()
        self.listening = asyncio.create_task(self.listen())

    async def listen(self):
        async for message in self.client.messages:
            self.heard.put((message.topic.value, message.payload.decode()))

    async def close(self):
        self.listening.cancel()
        await self.client.__aexit__(None, None, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        wait_for(self.close())

    def subscribe(self, topic_filter):
        wait_for(self.client.subscribe(topic_filter, qos=1))

    def publish(self, topic, text):
        wait_for(self.client.publish(topic, text, qos=1))

    def take(self, seconds):
        return self.heard.get(timeout=seconds)


run(driver(Connection))
