"""A relay between clients and the gateway that can cut every connection, wherever in a frame it is."""

import asyncio
import socket
import struct
import threading


class CuttingRelay:
    """What connects to `host` at one of `ports` reaches 127.0.0.1 at the same port."""

    def __init__(self, host, ports):
        self._host, self._ports, self._writers, self._servers = host, ports, set(), []
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._call(self._listen())

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _listen(self):
        for port in self._ports:
            def connected(reader, writer, port=port):
                return self._serve(port, reader, writer)
            self._servers.append(await asyncio.start_server(connected, self._host, port))

    async def _serve(self, port, reader, writer):
        try:
            other_reader, other = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, other}
        await asyncio.gather(self._copy(reader, other), self._copy(other_reader, writer), return_exceptions=True)
        self._writers -= {writer, other}

    @staticmethod
    async def _copy(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def _cut(self):
        for writer in self._writers:
            # A reset, not an orderly end: what is on its way is gone.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return len(self._writers)

    def cut(self):
        """Resets every connection; returns how many ends there were."""
        return self._call(self._cut())

    def stop(self):
        async def end():
            for server in self._servers:
                server.close()
            await self._cut()
        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
