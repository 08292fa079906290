"""A line between two processes of this machine that can be cut: it takes connections at a port of its own and hands on what comes."""

import selectors
import socket
import threading


class Cable:
    """To the port of 127.0.0.1 that is given. Cut, it still takes connections and hands nothing on, as a cable does; nobody is
    refused, for that would say that the process behind it is dead."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.whole = True
        self.others = {}
        self.selector = selectors.DefaultSelector()
        self.wake, self.woken = socket.socketpair()
        self.todo = []
        for one in (self.listener, self.woken):
            self.selector.register(one, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def cut(self):
        self.do(lambda: setattr(self, "whole", False))

    def mend(self):
        """What was on its way is lost, and both ends connect anew."""
        self.do(lambda: (setattr(self, "whole", True), [self.drop(one) for one in list(self.others)]))

    def close(self):
        self.do(None)
        self.thread.join()
        for one in (*self.others, self.listener, self.wake, self.woken):
            one.close()
        self.selector.close()

    def do(self, what):
        done = threading.Event()
        self.todo.append((what, done))
        self.wake.send(b"x")
        done.wait()

    # --- the thread ---

    def run(self):
        going = True
        while going:
            for key, _ in self.selector.select():
                if key.fileobj is self.woken:
                    self.woken.recv(1)
                    what, done = self.todo.pop(0)
                    going = what is not None
                    if what:
                        what()
                    done.set()
                elif key.fileobj is self.listener:
                    self.take()
                elif key.fileobj in self.others:
                    self.pass_on(key.fileobj)

    def take(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        self.others[near], self.others[far] = far, near
        for one in (near, far):
            self.selector.register(one, selectors.EVENT_READ)

    def pass_on(self, one):
        try:
            data = one.recv(65536)
            if data and self.whole:
                self.others[one].sendall(data)
        except OSError:
            data = b""
        if not data:
            self.drop(one)

    def drop(self, one):
        other = self.others.pop(one, None)
        if other is None:
            return
        del self.others[other]
        for end in (one, other):
            self.selector.unregister(end)
            end.close()
