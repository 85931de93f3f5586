"""python-socketio: two processes with clients in the same rooms, which speak through the store; kills in between.

    socketio_rooms.py BINARY [server arguments]

What it sends is kept by nobody: before and after a kill every message must come to each client once and in order.
"""
import asyncio
import logging
import sys

import blackbox
import jobs
import socketio
from aiohttp import web
from checks import check, equal

CLIENTS, MESSAGES = 2, 100
address = f"redis://127.0.0.1:{jobs.PORT}/0"


def serve():
    """One process: who connects is in the room of all, and may speak to a room or ask somebody else."""
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=socketio.AsyncRedisManager(address))

    @server.event
    async def connect(sid, environ):
        await server.enter_room(sid, "all")

    @server.event
    async def join(sid, room):
        await server.enter_room(sid, room)
        return True

    @server.event
    async def say(sid, data):
        await server.emit("said", data["text"], room=data["room"])
        return True

    @server.event
    async def ask(sid, data):
        return await server.call("question", data["text"], to=data["sid"], timeout=20)

    application = web.Application()
    server.attach(application)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)


class Guest:
    def __init__(self, port):
        self.port, self.heard = port, []
        self.client = socketio.AsyncClient(reconnection_delay=0.2, reconnection_delay_max=0.5)
        self.client.on("said", lambda text: self.heard.append(text))
        self.client.on("question", lambda text: f"{text}? {self.port}")

    async def open(self):
        for _ in range(200):
            try:
                return await self.client.connect(f"http://127.0.0.1:{self.port}", transports=["websocket"])
            except socketio.exceptions.ConnectionError:
                await asyncio.sleep(0.1)
        raise TimeoutError("no connection")

    async def call(self, event, data):
        return await self.client.call(event, data, timeout=30)


def main(stage):
    logging.disable(logging.CRITICAL)
    loop = jobs.Loop()
    ports = [blackbox.free_port() for _ in range(2)]
    workers = jobs.Workers(stage, *[[sys.executable, "-c", "import socketio_rooms; socketio_rooms.serve()", str(port)]
                                    for port in ports])
    workers.start()

    async def create():
        guests = [Guest(port) for port in ports for _ in range(CLIENTS)]
        for guest in guests:
            await guest.open()
        return guests, socketio.AsyncRedisManager(f"redis://127.0.0.1:{stage.server.port}/0", write_only=True)

    guests, outside = loop.run(create())
    attempts = iter(range(10 ** 9))

    def connected():
        """True when each hears from each process and from outside, which is asked by speaking."""
        tag = f"hello {next(attempts)}"
        try:
            for guest in (guests[0], guests[-1]):
                loop.run(guest.call("say", {"room": "all", "text": f"{tag} {guest.port}"}))
            loop.run(outside.emit("said", f"{tag} outside", room="all"))
        except (socketio.exceptions.SocketIOError, *jobs.AWAY):
            return False
        words = {f"{tag} {port}" for port in ports} | {f"{tag} outside"}
        return jobs.until(lambda: all(words <= set(guest.heard) for guest in guests), 1)

    def conversation(name):
        for guest in guests:
            guest.heard.clear()
        loop.run(guests[0].call("join", "few"))
        loop.run(guests[-1].call("join", "few"))
        for number in range(MESSAGES):
            loop.run(guests[number % 2].call("say", {"room": "all", "text": f"all {number}"}))
            loop.run(guests[-1].call("say", {"room": "few", "text": f"few {number}"}))
        loop.run(outside.emit("said", "end", room="all"))
        jobs.until(lambda: all("end" in guest.heard for guest in guests))
        rooms = [[text for text in guest.heard if not text.startswith("hello")] for guest in guests]
        speech = {word: [f"{word} {number}" for number in range(MESSAGES)] for word in ("all", "few")}
        equal(f"{name}: each in the room of all hears all in order",
              [[text for text in room if text.startswith("all")] for room in rooms], [speech["all"]] * len(guests))
        equal(f"{name}: the few hear what is for few, and nobody else does",
              [[text for text in room if text.startswith("few")] for room in rooms],
              [speech["few"]] + [[]] * (len(guests) - 2) + [speech["few"]])
        answer = loop.run(guests[0].call("ask", {"text": "who", "sid": guests[-1].client.get_sid()}))
        equal(f"{name}: a guest of one process answers one of the other", answer, f"who? {ports[1]}")

    check("everybody hears everybody", jobs.until(connected))
    conversation("at first")
    jobs.restart(stage.server)
    check("again after a kill of the server", jobs.until(connected))
    conversation("after a kill of the server")
    workers.kill()
    jobs.restart(stage.server)
    workers.start()
    check("again after a kill of all", jobs.until(connected))
    conversation("after a kill of all")
    with stage.server.client() as client:
        equal("each process listens, and nobody else", client.call("PUBSUB", "NUMSUB", "socketio"), [b"socketio", 2])


if __name__ == "__main__":
    jobs.play("socketio_rooms")
