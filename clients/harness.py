"""What the scripts in this folder share: a lab of its own for each of them, checks that are counted, and deadlines.

A script starts `quorate-lab up` in a fresh directory, lets a client that knows nothing of Quorate talk to it, and
compares what the client says with the cluster file and with the lab's own impact report. The lab ends with the script,
however that ends. Nothing here knows how Quorate works inside; it uses the binary as a person would.
"""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import selectors
import shutil
import signal
import ssl
import subprocess
import sys
import time
import tomllib
import traceback
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLIENTS = ROOT / "clients"
DEMO = ROOT / "lab" / "world" / "clusters" / "demo.toml"
THREE_NODES = CLIENTS / "three-nodes.toml"

# Asked to end, a script leaves its `with` blocks, and the lab goes down.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

# Two more users, so that there is one who may see less than root.
MORE_USERS = """
[[token]]
name = "auditor@pve!look"
secret = "2f7e6f0a-8a4e-4f0e-9d5e-0f4c3f1b9a01"
role = "PVEAuditor"

[[token]]
name = "nobody@pve!look"
secret = "2f7e6f0a-8a4e-4f0e-9d5e-0f4c3f1b9a02"
role = "NoAccess"
"""

# A lab is there within seconds; on a machine that builds at the same time it may take longer.
START_S = 60
# One call of `quorate-lab` that only asks the lab something.
ASK_S = 60


def quiet_environment(home):
    """The environment for a client: no proxy between it and loopback, no configuration of the person who runs it."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept.update(HOME=str(home), NO_PROXY="*", PYTHONWARNINGS="ignore", LC_ALL="C.UTF-8", TERM="dumb", COLUMNS="300")
    return kept


class Lab:
    """A lab that runs as long as the `with` block does."""

    def __init__(self, options, name, cluster, more="", time_factor=60):
        self.program = options.programs / "quorate-lab"
        self.directory = options.work / name
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.cluster_file = self.directory / "cluster.toml"
        self.cluster_file.write_text(pathlib.Path(cluster).read_text() + more)
        self.file = tomllib.loads(self.cluster_file.read_text())
        self.environment = quiet_environment(self.directory)
        self.time_factor = time_factor
        self.process = None
        self.ledger_at_end = None

    def __enter__(self):
        arguments = ["--json", "--dir", self.directory / "lab", "--any-port", "--cluster", self.cluster_file]
        arguments += ["--time-factor", self.time_factor]
        command = [self.program, "up", *arguments]
        self.process = started(command, self.directory / "lab.log", self.environment, stdout=subprocess.PIPE)
        line = first_line(self.process.stdout, START_S)
        if not line:
            ended(self.process)
            said = (self.directory / "lab.log").read_text()
            raise RuntimeError(f"the lab did not say within {START_S} s where it is: {said}")
        self.access = json.loads(line)
        self.endpoints = {node["name"]: node["api"] for node in self.access["nodes"]}
        self.certificates = str(self.directory / "lab" / "ca.pem")
        self.token_user, self.token_name = self.access["token-id"].split("!")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.ledger_at_end = self.ask("down")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        if self.process.poll() is None:
            ended(self.process)

    def ask(self, verb, *arguments):
        """Asks the lab itself; what it prints as JSON, or None."""
        command = [self.program, verb, "--json", "--dir", self.directory / "lab", *arguments]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=ASK_S, env=self.environment
        )
        # 10 is the exit code of an impact report with harm in it.
        if done.returncode not in (0, 10):
            raise RuntimeError(f"quorate-lab {verb}: exit code {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def ledger(self):
        return self.ask("ledger")

    def places(self):
        """Where each guest is, by the API of the first node: `vm:101` → `pve1`."""
        answer = self.get("/cluster/resources?type=vm")
        kinds = {"qemu": "vm", "lxc": "ct"}
        return {f"{kinds[entry['type']]}:{entry['vmid']}": entry["node"] for entry in sorted_by_id(answer)}

    def guests_on(self, node):
        return [guest for guest, place in self.places().items() if place == node]

    def get(self, path):
        """One plain request with the lab's token: the `data` of its answer."""
        url = f"https://{self.endpoints[self.first_node()]}/api2/json{path}"
        token = f"PVEAPIToken={self.access['token-id']}={self.access['token-secret']}"
        request = urllib.request.Request(url, headers={"Authorization": token})
        context = ssl.create_default_context(cafile=self.certificates)
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return json.load(answer)["data"]

    def first_node(self):
        return next(iter(self.endpoints))

    def guests(self, kind=None):
        """The guests of the cluster file: number → entry, all or only `vm` or `ct`."""
        wanted = [guest for guest in self.file["guest"] if kind in (None, guest["id"].split(":")[0])]
        return {int(guest["id"].split(":")[1]): guest for guest in wanted}

    def run(self, command, stdin="", deadline_s=120, **more):
        """Runs a client to its end; its output is kept beside the lab's files."""
        environment = self.environment | more
        begun = time.monotonic()
        done = subprocess.run(
            list(map(str, command)), input=stdin, capture_output=True, text=True, timeout=deadline_s, env=environment
        )
        done.seconds = time.monotonic() - begun
        with open(self.directory / "client.log", "a", encoding="utf-8") as log:
            shown = " ".join(map(str, command))
            log.write(f"$ {shown}\n{done.stdout}{done.stderr}exit code {done.returncode}\n\n")
        return done


def started(command, log, environment, stdout=None):
    """A program that runs beside the script, and never longer than it. What it says on stderr is kept in `log`."""
    with open(log, "w", encoding="utf-8") as said:
        return subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=stdout or said, stderr=said, env=environment,
            text=True, preexec_fn=ends_with_its_parent,
        )


def ends_with_its_parent():
    """Even a script that is killed leaves nothing behind: Linux signals the program when its parent is gone."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def ended(process):
    """Ends a program politely, and by force if it does not end."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def sorted_by_id(entries):
    return sorted(entries, key=lambda entry: entry["id"])


def first_line(stream, deadline_s):
    """The first line of a program's output, or nothing if it does not come in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(deadline_s) else ""


def until(what, deadline_s, said):
    """Asks again until `what()` gives something true."""
    ends = time.monotonic() + deadline_s
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > ends:
            raise AssertionError(f"not within {deadline_s} s: {said}")
        time.sleep(0.2)


class Checks:
    """Counts what was checked. A check that fails does not keep the next from being made."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    @contextlib.contextmanager
    def check(self, name):
        try:
            yield
        except Exception as error:  # whatever a client raises is a failed check
            self.failed += 1
            print(f"  FAILED  {name}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc(limit=4)
        else:
            self.passed += 1
            print(f"  ok      {name}", flush=True)

    def end(self):
        """The count, in the form in which cargo prints it, and the end of the script."""
        word = "FAILED" if self.failed or not self.passed else "ok"
        print(f"test result: {word}. {self.passed} passed; {self.failed} failed; 0 ignored", flush=True)
        sys.exit(0 if word == "ok" else 1)


def options():
    """The arguments of every script: where `quorate` and `quorate-lab` are, and a directory that it may fill."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--time-factor", type=int, default=None)
    return parser.parse_args()


def program(name):
    """A program that pip has put beside this Python."""
    return pathlib.Path(sys.executable).with_name(name)


def equal(seen, wanted, what="it"):
    assert seen == wanted, f"{what}: {seen!r} instead of {wanted!r}"
