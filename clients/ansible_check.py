"""Ansible with community.proxmox runs a playbook whose assertions compare the cluster file with the API."""

import json
import os
import pathlib
import re

from harness import CLIENTS, DEMO, Checks, Lab, equal, options, program

PLAYBOOK = CLIENTS / "ansible" / "cluster.yml"
ASSERTED = '"msg": "All assertions passed"'


def variables(lab, login):
    """The variables of the playbook: how to log in, and what it must find."""
    host, port = lab.endpoints[lab.first_node()].split(":")
    access = {"api_host": host, "api_port": port, "api_user": "root@pam", "validate_certs": False}
    if login == "token":
        access |= {"api_token_id": lab.token_name, "api_token_secret": lab.access["token-secret"]}
    else:
        access |= {"api_password": lab.access["password"]}
    return {
        "login": access,
        "wanted_nodes": sorted(node["name"] for node in lab.file["node"]),
        "wanted_guests": {vmid: guest["node"] for vmid, guest in lab.guests().items()},
        "wanted_storages": sorted(storage["id"] for storage in lab.file["storage"]),
    }


def play(lab, login, *tags):
    path = lab.directory / f"variables-{login}.yaml"
    # JSON is YAML, but its keys are text; the numbers of guests are numbers for Ansible.
    text = json.dumps(variables(lab, login), indent=1)
    path.write_text(re.sub(r'"(\d+)": "', r'\1: "', text))
    command = [program("ansible-playbook"), "-i", "localhost,", "-e", f"@{path}", *tags, PLAYBOOK]
    more = {
        "ANSIBLE_COLLECTIONS_PATH": os.environ["QUORATE_CLIENTS_COLLECTIONS"],
        "ANSIBLE_PYTHON_INTERPRETER": str(program("python")),
        "ANSIBLE_LOCAL_TEMP": str(lab.directory / "ansible-tmp"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_STDOUT_CALLBACK": "default",
        "ANSIBLE_LOCALHOST_WARNING": "False",
    }
    return lab.run(command, deadline_s=400, **more)


def main():
    asked, checks = options(), Checks()
    assert pathlib.Path(os.environ["QUORATE_CLIENTS_COLLECTIONS"], "ansible_collections").is_dir()
    with Lab(asked, "ansible", DEMO, time_factor=asked.time_factor or 60) as lab:
        looks(lab, checks)
        changes(lab, checks)
    checks.end()


def looks(lab, checks):
    with checks.check("logged in by password, it finds nodes, guests, storages and images as the file has them"):
        done = play(lab, "password", "--tags", "look")
        equal(done.returncode, 0, done.stdout[-1500:] + done.stderr[-500:])
        equal(done.stdout.count(ASSERTED), 4, "assertions")


def changes(lab, checks):
    with checks.check("logged in by token, the whole playbook ends without a failed task, every assertion made"):
        done = play(lab, "token")
        equal(done.returncode, 0, done.stdout[-1500:] + done.stderr[-500:])
        equal(done.stdout.count(ASSERTED), PLAYBOOK.read_text().count("ansible.builtin.assert:"), "assertions")
    with checks.check("the lab itself has the machine where the playbook moved it, and nothing worse happened"):
        equal(lab.places()["vm:110"], "pve3", "vm:110")
        ledger = lab.ledger()
        equal((ledger["moves"], ledger["guests_lost"], ledger["fences"]), (1, 0, 0), "moves, lost, fences")


main()
