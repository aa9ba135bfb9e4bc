"""Mail hosts (aiosmtpd) and the server of MTA-STS policies, on OpenSSL: nothing of it is Ringpost's.

usage: servers.py FOLDER MAIL_PORT HTTPS_PORT ADDRESS=CERTIFICATE[+] ...
Without a certificate a host offers no TLS; with a plus it offers REQUIRETLS (RFC 8689). What arrives is appended to FOLDER/arrived, one JSON object a line. The
policy of a domain is FOLDER/policies/DOMAIN; a first line "#TYPE" sets the content type, "#301 URL" redirects.
"""
import http.server
import json
import os
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

folder, mail_port, https_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lock = threading.Lock()


def context(certificate):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(os.path.join(folder, certificate + ".pem"))
    return made


class Keep:
    def __init__(self, address):
        self.address = address

    async def handle_DATA(self, server, session, envelope):
        line = {"at": self.address, "to": envelope.rcpt_tos, "tls": session.ssl is not None}
        with lock, open(os.path.join(folder, "arrived"), "a") as file:
            file.write(json.dumps(line) + "\n")
        return "250 2.0.0 ok"


class Promise(Keep):
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return responses[:-1] + ["250-REQUIRETLS"] * bool(session.ssl) + responses[-1:]


class Promising(SMTP):
    async def smtp_MAIL(self, arg):
        word = " REQUIRETLS"
        required = self.session.ssl is not None and word in arg
        with lock, open(os.path.join(folder, "required"), "a") as file:
            file.write("yes\n" if required else "no\n")
        await super().smtp_MAIL(arg.replace(word, "") if required else arg)


class PromisingController(Controller):
    def factory(self):
        return Promising(self.handler, **self.SMTP_kwargs)


class Policies(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        domain = (self.headers["Host"] or "").removeprefix("mta-sts.").split(":")[0]
        path = os.path.join(folder, "policies", os.path.basename(domain))
        with lock, open(os.path.join(folder, "asked"), "a") as file:
            file.write(domain + "\n")
        if self.path != "/.well-known/mta-sts.txt" or not os.path.exists(path):
            return self.send_error(404)
        text = open(path).read()
        kind = "text/plain"
        if text.startswith("#301 "):
            self.send_response(301)
            self.send_header("Location", text[5:].strip())
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if text.startswith("#"):
            kind, text = text[1:].split("\n", 1)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


controllers = []
for argument in sys.argv[4:]:
    address, certificate = argument.split("=")
    kind, keep = (PromisingController, Promise) if certificate.endswith("+") else (Controller, Keep)
    tls = context(certificate.rstrip("+")) if certificate else None
    controllers.append(kind(keep(address), hostname=address, port=mail_port, tls_context=tls))
    controllers[-1].start()
https = http.server.ThreadingHTTPServer(("127.0.0.1", https_port), Policies)
https.socket = context("policies").wrap_socket(https.socket, server_side=True)
print("ready", flush=True)
https.serve_forever()
