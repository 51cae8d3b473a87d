"""What stands where a broker says that it is, and notes who comes there beside the gateway."""

import asyncio
import struct
import threading

GATEWAY = b"sluice"  # its client id
_CLIENT_ID = 14  # where that stands, behind its length
_KNOWN = 200  # bytes of an unknown peer's first request that are kept


def _says_who(begin):
    """Is enough of the first request there, or all of it?"""
    whole = len(begin) >= 4 and len(begin) - 4 >= int.from_bytes(begin[:4], "big")
    return whole or len(begin) >= _CLIENT_ID + len(GATEWAY)


class Guard:
    """Listens at the address that a broker advertises to the gateway, `port` of 127.0.0.1, and leads to the broker's port
    `target`. Clients know no such address unless the gateway has told them, so `strangers`, the first bytes of each that was
    not the gateway, has to stay empty. They are let in, so that the test that fails says just that, and soon."""

    def __init__(self, port, target):
        self.address = f"127.0.0.1:{port}"
        self.strangers, self.let_in, self._target, self._tasks = [], 0, target, set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", port))

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._lead(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _lead(self, reader, writer):
        """The client id stands at the same place in every request."""
        begin = b""
        while not _says_who(begin) and (more := await reader.read(_KNOWN)):
            begin += more
        if not begin:
            return
        if not begin[_CLIENT_ID - 2:].startswith(struct.pack(">h", len(GATEWAY)) + GATEWAY):
            self.strangers.append(begin[:_KNOWN])
        else:
            self.let_in += 1
        other_reader, other = await asyncio.open_connection("127.0.0.1", self._target)
        other.write(begin)
        await asyncio.gather(self._copy(reader, other), self._copy(other_reader, writer), return_exceptions=True)

    @staticmethod
    async def _copy(reader, writer):
        try:
            while data := await reader.read(262144):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    def stop(self):
        async def end():
            self._server.close()
            for task in self._tasks:
                task.cancel()
        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
