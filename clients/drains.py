"""Peers that empty a node: each drains a node of the same cluster, and the lab itself says what happened.

`cargo xtask clients drains` prints the table of docs/guide/other-clients.md, at the genuine speed of time.
"""

import dataclasses
import re
import shutil
import time

import yaml

from harness import THREE_NODES, Lab, options, program

DRAINED = "pve1"

# HA works in rounds of ten seconds and migrates one guest after the other; what has not moved by then stays.
SETTLE_S = 180


@dataclasses.dataclass
class Drain:
    """What a peer said and did, and what was true."""

    exit_code: int
    output: str
    seconds: float
    left_when_said: list
    left_at_end: list
    late_s: float
    early_s: list
    places: dict
    moves: int
    moved_mib: float
    blackout_ms: int
    downtime_s: int
    clean: bool
    owed: int


def pvecontrol_config(lab, login):
    """A configuration for pvecontrol, with a token or with a password."""
    cluster = {"name": "lab", "host": lab.endpoints[lab.first_node()], "user": "root@pam", "ssl_verify": False}
    if login == "token":
        cluster |= {"token_name": lab.token_name, "token_value": lab.access["token-secret"]}
    else:
        cluster |= {"password": lab.access["password"]}
    path = lab.directory / f"pvecontrol-{login}.yaml"
    path.write_text(yaml.safe_dump({"clusters": [cluster]}))
    return path


def pvecontrol_evacuates(lab):
    command = [program("pvecontrol"), "--config", pvecontrol_config(lab, "token")]
    command += ["node", "evacuate", "--online", "--wait", DRAINED]
    return observed(lab, command, "yes\n")


def proxlb_config(lab, maintenance=(), enable=True):
    """A configuration for proxlb that lets it balance nothing but empty the nodes in maintenance, once."""
    config = {
        "proxmox_api": {
            "hosts": list(lab.endpoints.values()),
            "user": lab.token_user,
            "token_id": lab.token_name,
            "token_secret": lab.access["token-secret"],
            "ssl_verification": False,
            "timeout": 30,
        },
        "proxmox_cluster": {"maintenance_nodes": list(maintenance), "overprovisioning": True},
        "balancing": {
            "enable": enable,
            "live": True,
            "with_local_disks": True,
            "balance_types": ["vm", "ct"],
            "max_job_validation": 1800,
            "max_node_inflow": 100,
            "method": "memory",
            "mode": "assigned",
            "balanciness": 100,
        },
        "service": {"daemon": False, "log_level": "INFO"},
    }
    path = lab.directory / "proxlb.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def proxlb_drains(lab):
    command = [program("python"), "-m", "proxlb", "--config", proxlb_config(lab, [DRAINED])]
    return observed(lab, command)


def maintenance_by_its_text(lab):
    """No tool, but what many runbooks do: maintenance mode by SSH, and done when the status says `maintenance mode`."""
    ssh = f"ssh -F {lab.directory}/lab/ssh_config {DRAINED}"
    script = (
        f"{ssh} ha-manager crm-command node-maintenance enable {DRAINED} && "
        f"for i in $(seq 600); do {ssh} ha-manager status | grep '{DRAINED} (maintenance mode' && exit; sleep 0.5; done"
        "; exit 1"
    )
    return observed(lab, ["sh", "-c", script])


def observed(lab, command, stdin=""):
    """Lets a peer drain the node; asks the lab, the moment the peer is done, who is still there, and waits."""
    began = time.monotonic()
    done = lab.run(command, stdin=stdin, deadline_s=SETTLE_S)
    said = time.monotonic()
    left_when_said = lab.guests_on(DRAINED)
    empty_at = said
    ends = said + SETTLE_S / lab.time_factor
    left = left_when_said
    while left and time.monotonic() < ends:
        time.sleep(0.1)
        now = lab.guests_on(DRAINED)
        if len(now) < len(left):
            empty_at = time.monotonic()
        left = now
    ledger = lab.ledger()
    return Drain(
        exit_code=done.returncode,
        output=done.stdout + done.stderr,
        seconds=(said - began) * lab.time_factor,
        left_when_said=left_when_said,
        left_at_end=left,
        late_s=(empty_at - said) * lab.time_factor,
        early_s=early_s(lab),
        places=lab.places(),
        moves=ledger["moves"],
        moved_mib=moved_mib(lab),
        blackout_ms=ledger["blackout_ms_max"],
        downtime_s=ledger["unconsented_downtime_s"],
        clean=ledger["clean"],
        owed=ledger["still_to_undo"],
    )


def early_s(lab):
    """For each guest of HA: how long before it had left was the task that asked HA to move it done, with OK?"""
    asked, moved = {}, {}
    for task in lab.get("/cluster/tasks"):
        if task.get("status") == "OK" and task["type"] in ("hamigrate", "qmigrate"):
            (asked if task["type"] == "hamigrate" else moved)[task["id"]] = task["endtime"]
    return sorted(moved[guest] - done for guest, done in asked.items() if guest in moved)


SIZES = {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}


def moved_mib(lab):
    """What went over the network, memory and disks, as the logs of the migrations have it."""
    total = 0
    for task in lab.get("/cluster/tasks"):
        if task["type"] != "qmigrate":
            continue
        log = lab.get(f"/nodes/{task['node']}/tasks/{task['upid']}/log?limit=0")
        text = "\n".join(line["t"] for line in log)
        ram = re.findall(r"transferred ([0-9.]+) (.iB) VM-state", text)
        disks = re.findall(r"transferred [0-9.]+ .iB of ([0-9.]+) (.iB) \(100.00%\)", text)
        total += sum(float(size) * SIZES[unit] for size, unit in ram + disks)
    return total


PEERS = {
    "pvecontrol 0.8 `node evacuate`": pvecontrol_evacuates,
    "proxlb 2.3, maintenance node": proxlb_drains,
    "maintenance mode, by its text": maintenance_by_its_text,
}

COLUMNS = [
    "peer", "moves", "moved", "says it is done after", "exit code", "still there then", "gone after another",
    "HA's task OK before its guest had left", "stays", "end on", "longest pause", "downtime", "impact report",
]


def row(name, drain):
    """A line of the table."""
    mine = [place for place in drain.places.values() if place != DRAINED]
    on = ", ".join(f"{node} {mine.count(node)}" for node in sorted(set(mine)))
    cells = [
        name, drain.moves, f"{drain.moved_mib:.0f} MiB", f"{drain.seconds:.0f} s", drain.exit_code,
        ", ".join(drain.left_when_said) or "nobody", f"{drain.late_s:.0f} s" if drain.late_s else "-",
        ", ".join(f"{seconds} s" for seconds in drain.early_s) or "-",
        ", ".join(drain.left_at_end) or "nobody", on, f"{drain.blackout_ms} ms", f"{drain.downtime_s} s",
        "clean" if drain.clean else f"not clean, {drain.owed} still to undo",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def main():
    asked = options()
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|", flush=True)
    for name, drain in PEERS.items():
        if drain is maintenance_by_its_text and not shutil.which("ssh"):
            print(f"(no ssh here: {name} is left out)")
            continue
        directory = re.sub("[^a-z]+", "-", name.lower())
        with Lab(asked, f"drain-{directory}", THREE_NODES, time_factor=asked.time_factor or 1) as lab:
            print(row(name, drain(lab)), flush=True)


if __name__ == "__main__":
    main()
