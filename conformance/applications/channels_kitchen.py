"""Django Channels' layers: orders on a channel for workers, a group that hears of each, messages; kills in between.

    channels_kitchen.py BINARY [server arguments]

A worker takes a message out of the store when it receives it: at a kill it may hold one. There is one process of them,
since each would take back what others have received and not yet struck off.
"""
import asyncio
import collections
import logging
import sys

import jobs
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from checks import check, equal

LISTENERS = 3
options = {"hosts": [f"redis://127.0.0.1:{jobs.PORT}/1"], "capacity": 100000, "expiry": 3600}


async def serve():
    layer = RedisChannelLayer(**options)
    while True:
        try:
            message = await layer.receive("orders")
        except jobs.AWAY:
            await asyncio.sleep(0.05)
            continue
        await asyncio.to_thread(jobs.perform, message["number"])


class Kitchen:
    """Listeners of a group, in one process and loop."""

    def __init__(self, layer):
        self.layer, self.heard, self.channels = layer, collections.defaultdict(list), []

    async def open(self, count):
        self.channels = [await self.layer.new_channel() for _ in range(count)]
        for channel in self.channels:
            await self.layer.group_add("kitchen", channel)
        self.tasks = [asyncio.ensure_future(self.listen(channel)) for channel in self.channels]

    async def listen(self, channel):
        while True:
            try:
                message = await self.layer.receive(channel)
                self.heard[channel].append(message["number"])
            except jobs.AWAY:
                await asyncio.sleep(0.05)

    async def close(self):
        for task in self.tasks:
            task.cancel()
        for channel in self.channels:
            await self.layer.group_discard("kitchen", channel)


def main(stage):
    from channels_kitchen import options
    logging.disable(logging.CRITICAL)
    loop = jobs.Loop()

    async def create():
        return Kitchen(RedisChannelLayer(**options)), RedisPubSubChannelLayer(options["hosts"])

    kitchen, messages = loop.run(create())
    loop.run(kitchen.open(LISTENERS))
    workers = jobs.Workers(stage, [sys.executable, "-c", "import asyncio, channels_kitchen as kitchen; "
                                     "asyncio.run(kitchen.serve())"])
    told = set()

    def send(number):
        loop.run(kitchen.layer.send("orders", {"type": "order", "number": number}))
        loop.run(kitchen.layer.group_send("kitchen", {"type": "order", "number": number}))
        told.add(number)

    business = jobs.Business(stage, workers, send)

    def night():
        for number in range(1, 21):
            jobs.insist(lambda: loop.run(kitchen.layer.send("orders", {"type": "order", "number": number})))
        business.acknowledged.update(range(1, 21))

    business.across(night)
    with stage.server.client() as client:
        client.call("SELECT", "1")
        business.drain(idle=lambda: not client.call("EXISTS", "asgi:orders"))
    # One message may have been on its way at each of the kills.
    jobs.until(lambda: all(len(told - set(heard)) <= 3 for heard in kitchen.heard.values()))
    missing = [len(told - set(heard)) for heard in kitchen.heard.values()]
    check("each of the group hears of each order", len(missing) == LISTENERS and max(missing) <= 3, missing)
    twice = [len(heard) - len(set(heard)) for heard in kitchen.heard.values()]
    check("and of none again, but at the kills", max(twice) <= 3, twice)
    jobs.insist(lambda: loop.run(kitchen.close()))
    workers.kill()
    business.verify(lost=2, again=2)
    with stage.server.client() as client:
        client.call("SELECT", "1")
        equal("nothing stays behind", client.call("KEYS", "asgi:orders"), [])
        equal("and nobody in the group", client.call("ZCARD", "asgi:group:kitchen"), 0)
    speak(stage, loop, messages)


def speak(stage, loop, layer):
    """The layer that keeps nothing, on messages of the server: it finds back after a kill."""
    kitchen = Kitchen(layer)
    loop.run(kitchen.open(LISTENERS))

    def round_of(numbers):
        for number in numbers:
            loop.run(layer.group_send("kitchen", {"type": "order", "number": number}))
        jobs.until(lambda: all(kitchen.heard[channel][-1:] == [numbers[-1]] for channel in kitchen.channels), 20)
        heard, kitchen.heard = kitchen.heard, collections.defaultdict(list)
        return [heard[channel] for channel in kitchen.channels]

    equal("messages in order", round_of(list(range(100))), [list(range(100))] * LISTENERS)
    jobs.restart(stage.server)

    def again():
        try:
            loop.run(layer.group_send("kitchen", {"type": "order", "number": -1}))
        except jobs.AWAY:
            return False
        return all(kitchen.heard[channel] for channel in kitchen.channels)

    check("they come again after a kill", jobs.until(again))
    jobs.until(lambda: len({len(kitchen.heard[channel]) for channel in kitchen.channels}) == 1, 5)
    kitchen.heard.clear()
    heard = [[number for number in numbers if number >= 0] for numbers in round_of(list(range(100)))]
    equal("and in order", heard, [list(range(100))] * LISTENERS)
    jobs.insist(lambda: loop.run(kitchen.close()))


if __name__ == "__main__":
    jobs.play("channels_kitchen")
