"""What stands between an adapter and a provider: certificates of a test authority, nginx with TLS and HTTP/2 in front of the
mock provider, and a proxy that knows CONNECT."""

import os
import shutil
import socket
import subprocess
import threading

import harness

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
SERVER = """
  server {
    listen 127.0.0.1:%(port)d ssl %(http2)s;
    ssl_certificate %(certificate)s;
    ssl_certificate_key %(key)s;
    location / {
      proxy_pass http://127.0.0.1:%(upstream)d;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
    }
  }
"""
CONFIG = """
daemon off;
master_process off;
worker_processes 1;
error_log %(folder)s/nginx-error.log;
pid %(folder)s/nginx.pid;
events { worker_connections 1024; }
http {
  log_format lines '$server_port $server_protocol $connection';
  access_log %(folder)s/nginx-access.log lines;
  client_max_body_size 32m;
  client_body_temp_path %(folder)s/body;
  proxy_temp_path %(folder)s/proxy;
  fastcgi_temp_path %(folder)s/fastcgi;
  uwsgi_temp_path %(folder)s/uwsgi;
  scgi_temp_path %(folder)s/scgi;
  keepalive_requests 100000;
  %(servers)s
}
"""


class Authority:
    """A certificate authority of the test's own, and what it signs. file is what vouches for it."""

    def __init__(self, folder):
        self.folder, self.file = folder, os.path.join(folder, "ca.pem")
        self.made = 0
        self.run("req", "-x509", *self.new_key("ca"), "-out", self.file, "-days", "1", "-subj", "/CN=authority of a test")

    @staticmethod
    def run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path(f"{name}.key")]

    def sign(self, host="IP:127.0.0.1", days=1, by_itself=False):
        """A certificate for host: its path and its key's."""
        self.made += 1
        name = f"server{self.made}"
        certificate, request = self.path(f"{name}.pem"), self.path(f"{name}.csr")
        about = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"]
        if by_itself:
            self.run("req", "-x509", *self.new_key(name), *about, "-days", str(days), "-out", certificate)
        else:
            self.run("req", *self.new_key(name), *about, "-out", request)
            self.run("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.path("ca.key"), "-days", str(days),
                     "-copy_extensions", "copyall", "-out", certificate)
        return certificate, self.path(f"{name}.key")


def start_nginx(case, servers, ports):
    """nginx with these server blocks, once it listens at ports."""
    path = os.path.join(case.folder, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIG % {"folder": case.folder, "servers": servers})
    process = subprocess.Popen([NGINX, "-c", path, "-p", case.folder, "-e", f"{case.folder}/nginx-error.log"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close():
        process.terminate()
        process.wait(harness.DEADLINE_S)

    case.addCleanup(close)
    for port in ports:
        harness.wait_listening(port, process)


class Front:
    """nginx in front of a provider; one port for each certificate."""

    def __init__(self, case, upstream, certificates):
        """certificates: name: (certificate, key, whether it speaks HTTP/2)."""
        self.folder = case.folder
        self.ports = {name: harness.free_port() for name in certificates}
        servers = [SERVER % {"port": self.ports[name], "certificate": certificate, "key": key, "upstream": upstream,
                             "http2": "http2" if http2 else ""}
                   for name, (certificate, key, http2) in certificates.items()]
        start_nginx(case, "".join(servers), self.ports.values())

    def url(self, name, path="/v1"):
        return f"https://127.0.0.1:{self.ports[name]}{path}"

    def seen(self):
        """(port, protocol, connection) of each request that has ended."""
        with open(f"{self.folder}/nginx-access.log", encoding="ascii") as file:
            return [(int(port), protocol, int(connection)) for port, protocol, connection in map(str.split, file)]


class Proxy(threading.Thread):
    """An HTTP proxy for CONNECT alone. asked: the hosts that were asked for; heard: all that came before a tunnel."""

    def __init__(self, refuses=False):
        super().__init__(daemon=True)
        self.refuses, self.asked, self.heard = refuses, [], b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, client):
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(4096)
                if not data:
                    return
                head += data
            self.heard += head
            verb, target = head.split(b" ", 2)[:2]
            self.asked.append(target.decode())
            if verb != b"CONNECT" or self.refuses:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            host, port = target.decode().rsplit(":", 1)
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self.copy, args=[server, client], daemon=True)
                back.start()
                self.copy(client, server)
                back.join()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join(harness.DEADLINE_S)
