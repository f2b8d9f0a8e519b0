"""A TCP line to a port of this machine that can be slow, break, or go dumb, as a test says."""
import collections
import select
import socket
import threading
import time


class SlowLine:
    """Listens at `port` for whoever wants to speak with the port `to`.

    pause: seconds that bytes are on the way; rate: bytes a second of each direction; dumb: nothing arrives any more
    """

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.to, self.pause, self.rate, self.dumb = self.listener.getsockname()[1], None, 0.0, None, False
        self.pairs, self.over = set(), False

    def __enter__(self):
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.listener.close()
        self.drop()

    def drop(self):
        """Breaks every connection."""
        for pair in list(self.pairs):
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _listen(self):
        while not self.over:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                if self.over:
                    return
                near.close()
                continue
            self.pairs.add((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink, (near, far)), daemon=True).start()

    def _carry(self, source, sink, pair):
        waiting = collections.deque()  # (when it may leave, bytes)
        try:
            while True:
                wait = max(0, waiting[0][0] - time.monotonic()) if waiting else 0.2
                if select.select([source], [], [], wait if len(waiting) < 64 else 0)[0] and len(waiting) < 64:
                    data = source.recv(65536)
                    if not data:
                        break
                    waiting.append((time.monotonic() + self.pause, data))
                while waiting and waiting[0][0] <= time.monotonic():
                    data = waiting.popleft()[1]
                    if self.dumb:
                        continue
                    sink.sendall(data)
                    if self.rate:
                        time.sleep(len(data) / self.rate)
        except OSError:
            pass
        finally:
            self.pairs.discard(pair)
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
