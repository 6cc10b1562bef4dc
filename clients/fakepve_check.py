"""The other way round: Quorate reads fakepve, a fake of the API that others wrote from PVE's own schema.

fakepve knows tokens only from inside Python, and Quorate logs in with tokens only. So a small front stands before it,
which does nothing but exchange the token for a ticket, and notes down what was asked and how it was answered. SSH is
not there: what Quorate reads by SSH is honestly unknown. The proof is that no answer of the API is, but those in which
the fake itself has a filler instead of a value (`FILLERS`).
"""

import contextlib
import datetime
import hashlib
import http.client
import http.server
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness import Checks, ended, equal, options, program, quiet_environment, started, until

ADDRESS = "127.0.0.1"
USER, PASSWORD = "root@pam", "secret"
TOKEN, SECRET = "root@pam!quorate", "5b1c4e0e-5d7e-4f43-9d8c-3a1d5a0c9e11"

# Where fakepve models nothing, it answers with fillers that fit the schema's types and mean nothing. A cluster never
# sends these, and Quorate accepts none of them as an answer: that is right, and has to stay so.
FILLERS = {
    # A service that is neither a virtual machine nor a container; half a view of HA is none.
    ("GET /cluster/ha/resources", 'unknown service "fake"'),
    # The cluster lists a job `100-0`, the node knows a job `fake`: nothing says whether replication is in order.
    ("GET /nodes/*/replication", "no node knows the state of job 100-0"),
    # The node reports a file of repositories that it cannot read.
    ("GET /nodes/pve1/apt/repositories", "fake: fake"),
    # Its node says nothing of the manager that runs there.
    ("GET /nodes/pve1/status", "the answer has no pveversion"),
}

GUESTS = {
    "guests": [
        {"vmid": 100, "name": "web", "node": "pve1", "status": "running", "agent": True, "config": {
            "memory": "2048", "cores": 2, "cpu": "x86-64-v2-AES", "onboot": 1, "agent": "1",
            "scsi0": "shared:vm-100-disk-0,size=8G", "ide2": "none,media=cdrom",
            "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0"}},
        {"vmid": 101, "name": "db", "node": "pve1", "status": "running", "ha_state": "started", "config": {
            "memory": "4096", "cores": 4, "scsi0": "local-lvm:vm-101-disk-0,size=32G", "tags": "prod;sql"}},
        {"vmid": 102, "name": "off", "node": "pve1", "status": "stopped", "config": {"memory": "512"}},
        {"vmid": 103, "name": "tmpl", "node": "pve1", "template": True, "config": {"memory": "512"}},
        {"vmid": 200, "name": "dns", "node": "pve1", "type": "lxc", "status": "running"},
    ]
}


def certificate(directory):
    """A certificate for loopback: the files, and its fingerprint as PVE writes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fakepve")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    digest = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
    return cert_file, key_file, ":".join(digest[at:at + 2] for at in range(0, len(digest), 2))


def free_port():
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def fakepve(directory, cert_file, key_file):
    """The fake, as long as the block lasts; its port."""
    guests, port = directory / "guests.json", free_port()
    guests.write_text(json.dumps(GUESTS))
    command = [program("fakepve"), guests, "--host", ADDRESS, "--port", port, "--cert", cert_file, "--key", key_file]
    process = started(command, directory / "fakepve.log", quiet_environment(directory))
    try:
        until(lambda: listens(port), 60, "fakepve listens")
        yield port
    finally:
        ended(process)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, port)) == 0


class Front:
    """Exchanges the token for a ticket, passes everything else on as it is, and notes what was asked."""

    def __init__(self, directory, cert_file, key_file, behind):
        self.behind = behind
        self.asked = []
        self.garbled = None
        self.trust = ssl.create_default_context(cafile=str(cert_file))
        login = urllib.parse.urlencode({"username": USER, "password": PASSWORD})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        status, body, _ = self.pass_on("POST", "/api2/json/access/ticket", form, login.encode())
        equal(status, 200, "login at fakepve")
        self.ticket = json.loads(body)["data"]["ticket"]
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                front.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((ADDRESS, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert_file, key_file)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def pass_on(self, method, path, headers, body=None):
        connection = http.client.HTTPSConnection(ADDRESS, self.behind, context=self.trust, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.reason
        finally:
            connection.close()

    def answer(self, handler):
        if handler.headers.get("Authorization") != f"PVEAPIToken={TOKEN}={SECRET}":
            status, body, reason = 401, b"", "No ticket"
        else:
            cookie = {"Cookie": f"PVEAuthCookie={self.ticket}"}
            status, body, reason = self.pass_on("GET", handler.path, cookie)
            if handler.path.removeprefix("/api2/json") == self.garbled:
                body = b'{"data": "nonsense"}'
            self.asked.append((handler.path.removeprefix("/api2/json"), status, body.decode()))
        handler.send_response(status, reason)
        handler.send_header("Content-Type", "application/json;charset=UTF-8")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def configuration(directory, front, fingerprint):
    path = directory / "quorate.toml"
    path.write_text(f"""[cluster]
nodes = [
  {{ name = "pve1", api = "{ADDRESS}:{front.port}", fingerprint = "{fingerprint}", ssh = "{ADDRESS}:{free_port()}",
    host-key = "SHA256:{"A" * 43}" }},
]

[auth]
token-id = "{TOKEN}"
token-secret = "{SECRET}"
""")
    path.chmod(0o600)
    return path


def unknown_answers(snapshot):
    """Every reading in a snapshot that a call of the API should have given and did not: (source, reason)."""
    found = set()

    def walk(value):
        if isinstance(value, dict):
            source = value.get("source")
            if isinstance(source, str) and source.startswith("GET "):
                found.add((source, value.get("reason")))
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(snapshot)
    return sorted(found)


def main():
    asked, checks = options(), Checks()
    directory = asked.work / "fakepve"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    cert_file, key_file, fingerprint = certificate(directory)
    with fakepve(directory, cert_file, key_file) as port:
        front = Front(directory, cert_file, key_file, port)
        config = configuration(directory, front, fingerprint)
        looks(asked, checks, directory, front, config)
    checks.end()


def quorate(asked, directory, config, *words):
    command = [asked.programs / "quorate", "--config", config, *words]
    environment = quiet_environment(directory)
    environment.pop("SSH_AUTH_SOCK", None)
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, env=environment)
    with open(directory / "quorate.log", "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(map(str, command))}\n{done.stdout}{done.stderr}exit code {done.returncode}\n\n")
    return done


def exported(asked, directory, config):
    """What Quorate has seen, as it keeps it."""
    export = directory / "snapshot.json"
    export.unlink(missing_ok=True)
    done = quorate(asked, directory, config, "export", export)
    equal(done.returncode, 0, done.stderr)
    return json.loads(export.read_text())


def looks(asked, checks, directory, front, config):
    with checks.check("inspect reads the fake to the end"):
        done = quorate(asked, directory, config, "inspect")
        equal(done.returncode, 0, done.stderr)
    with checks.check("every call of inspect is one that the schema of PVE 9 has"):
        bad = sorted({(path, status) for path, status, _ in front.asked if status in (400, 404, 501)})
        assert front.asked and not bad, bad
    with checks.check("no answer of the API is unknown where the fake says anything at all"):
        unknown = unknown_answers(exported(asked, directory, config))
        assert len({path for path, _, _ in front.asked}) >= 30, f"only {len(front.asked)} calls"
        equal(unknown, sorted(FILLERS), "unknown")
    with checks.check("an answer that does not make sense is unknown: this very check would have found one"):
        front.garbled = "/storage"
        try:
            sources = {source for source, _ in unknown_answers(exported(asked, directory, config))}
        finally:
            front.garbled = None
        assert "GET /storage" in sources, sources
    with checks.check("preflight reads the fake, and says that what SSH should answer is unknown"):
        done = quorate(asked, directory, config, "preflight", "--json")
        assert done.returncode not in (0, 2), f"exit code {done.returncode}: {done.stderr}"
        assert "ssh" in done.stdout.lower(), done.stdout[:500]
        complaints = [json.loads(line).get("problem", "") for line in done.stdout.splitlines()]
        equal(len([text for text in complaints if "known: GET " in text]), len(FILLERS), str(complaints))


main()
