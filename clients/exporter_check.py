"""prometheus-pve-exporter serves what it read from the cluster as metrics; they are compared with the cluster file."""

import contextlib
import socket
import urllib.error
import urllib.request

import yaml

from harness import DEMO, Checks, Lab, ended, equal, options, program, started, until
from prometheus_client.parser import text_string_to_metric_families


def free_port():
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def exporter(lab, login):
    """The exporter's own server, as long as the block lasts; its address."""
    module = {"user": lab.token_user, "verify_ssl": False}
    if login == "token":
        module |= {"token_name": lab.token_name, "token_value": lab.access["token-secret"]}
    else:
        module |= {"password": lab.access["password"]}
    config = lab.directory / f"exporter-{login}.yaml"
    config.write_text(yaml.safe_dump({"default": module}))
    address = f"127.0.0.1:{free_port()}"
    command = [program("pve_exporter"), "--config.file", config, "--web.listen-address", address]
    process = started(command, lab.directory / f"exporter-{login}.log", lab.environment)
    try:
        until(lambda: is_up(address), 60, "the exporter listens")
        yield address
    finally:
        ended(process)


def is_up(address):
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def scrape(lab, address, node):
    """All metrics of one scrape: name → list of (labels, value)."""
    url = f"http://{address}/pve?target={lab.endpoints[node]}&cluster=1&node=1"
    with urllib.request.urlopen(url, timeout=60) as answer:
        text = answer.read().decode()
    metrics = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            metrics.setdefault(sample.name, []).append((sample.labels, sample.value))
    return metrics


def by_id(metrics, name):
    return {labels["id"]: value for labels, value in metrics[name]}


def main():
    asked, checks = options(), Checks()
    with Lab(asked, "exporter", DEMO, time_factor=asked.time_factor or 60) as lab:
        with exporter(lab, "token") as address:
            metrics = {}
            with checks.check("a scrape with a token is answered, with all collectors on"):
                metrics = scrape(lab, address, "pve1")
            against_the_file(lab, checks, metrics)
            a_node_fails(lab, checks, address)
        with exporter(lab, "password") as address:
            with checks.check("a scrape with a password gives the same guests"):
                equal(set(by_id(scrape(lab, address, "pve2"), "pve_guest_info")), set(by_id(metrics, "pve_guest_info")))
    checks.end()


def against_the_file(lab, checks, metrics):
    nodes = {f"node/{node['name']}": node for node in lab.file["node"]}
    guests = {f"{'qemu' if kind == 'vm' else 'lxc'}/{vmid}": guest
              for kind in ("vm", "ct") for vmid, guest in lab.guests(kind).items()}
    with checks.check("all nodes are up, with the memory of the file"):
        up, memory = by_id(metrics, "pve_up"), by_id(metrics, "pve_memory_size_bytes")
        for name, node in nodes.items():
            equal((up[name], memory[name]), (1, node["memory_gib"] << 30), name)
    with checks.check("each guest of the file is there, up if it runs, on its node"):
        info = {labels["id"]: labels for labels, _ in metrics["pve_guest_info"]}
        up = by_id(metrics, "pve_up")
        equal(set(info), set(guests), "guests")
        for name, guest in guests.items():
            equal((info[name]["name"], info[name]["node"]), (guest["name"], guest["node"]), name)
            equal(up[name], 1 if guest.get("state", "running") == "running" else 0, f"pve_up of {name}")
    with checks.check("each storage is there on each node, with its size"):
        sizes = by_id(metrics, "pve_disk_size_bytes")
        for storage in lab.file["storage"]:
            for node in lab.file["node"]:
                assert sizes[f"storage/{node['name']}/{storage['id']}"] > 0, storage
    with checks.check("HA states are those of the file"):
        states = [labels for labels, value in metrics["pve_ha_state"] if value == 1]
        started = {labels["id"] for labels in states if labels["state"] == "started"}
        wanted = {name for name, guest in guests.items() if guest.get("ha") == "started"}
        equal(started, wanted, "started")
    with checks.check("the cluster is quorate, its version is known, and no backup job is missed"):
        equal([value for _, value in metrics["pve_cluster_info"]], [1], "cluster info")
        equal([labels["release"] for labels, _ in metrics["pve_version_info"]], ["9.1"], "release")


def a_node_fails(lab, checks, address):
    with checks.check("a node without power goes down in the metrics of another"):
        lab.ask("fault", "power-off", "pve3")
        until(lambda: by_id(scrape(lab, address, "pve1"), "pve_up")["node/pve3"] == 0, 60, "pve_up of pve3 is 0")


main()
