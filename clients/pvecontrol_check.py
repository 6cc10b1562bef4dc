"""pvecontrol lists nodes, machines, storages and tasks, checks the cluster, moves a machine, and drains a node."""

import json

from drains import pvecontrol_config, pvecontrol_evacuates
from harness import DEMO, THREE_NODES, Checks, Lab, equal, options, program


def listed(lab, config, *words):
    """What `pvecontrol … list` prints as JSON."""
    done = lab.run([program("pvecontrol"), "--config", config, "-o", "json", *words, "list"])
    equal(done.returncode, 0, f"exit code of {' '.join(words)} list ({done.stderr[-800:]})")
    return json.loads(done.stdout)


def main():
    asked, checks = options(), Checks()
    with Lab(asked, "pvecontrol", DEMO, time_factor=asked.time_factor or 60) as lab:
        with_token(lab, checks)
        moves_a_machine(lab, checks)
    with Lab(asked, "pvecontrol-drain", THREE_NODES, time_factor=asked.time_factor or 20) as lab:
        checks_sanity(lab, checks)
        drains(lab, checks)
    checks.end()


def with_token(lab, checks):
    config = pvecontrol_config(lab, "token")
    with checks.check("it lists the nodes of the file with their processors and memory, logged in by token"):
        nodes = {entry["node"]: entry for entry in listed(lab, config, "node")}
        equal(set(nodes), {node["name"] for node in lab.file["node"]}, "nodes")
        for node in lab.file["node"]:
            equal(nodes[node["name"]]["maxcpu"], node["cpus"], "maxcpu")
            running = [g for g in lab.guests("vm").values() if g["node"] == node["name"] and "state" not in g]
            equal(nodes[node["name"]]["allocatedcpu"], sum(guest.get("cores", 2) for guest in running), "allocatedcpu")
    with checks.check("it lists the machines where the file has them, logged in by password"):
        machines = {entry["vmid"]: entry for entry in listed(lab, pvecontrol_config(lab, "password"), "vm")}
        seen = {vmid: (entry["name"], entry["node"]) for vmid, entry in machines.items()}
        equal(seen, {vmid: (guest["name"], guest["node"]) for vmid, guest in lab.guests("vm").items()}, "machines")
    with checks.check("it lists the storages"):
        equal({entry["storage"] for entry in listed(lab, config, "storage")}, {s["id"] for s in lab.file["storage"]})


def moves_a_machine(lab, checks):
    config = pvecontrol_config(lab, "token")
    with checks.check("it moves a machine live, follows the task, and the task is in its list"):
        command = [program("pvecontrol"), "--config", config, "vm", "migrate", "--online", "--wait"]
        done = lab.run([*command, "--target", "pve2", "110"])
        equal(done.returncode, 0, done.stderr[-800:])
        places = {entry["vmid"]: entry["node"] for entry in listed(lab, config, "vm")}
        equal(places[110], "pve2", "place of vm:110")
        tasks = [task for task in listed(lab, config, "task") if task["type"] == "qmigrate"]
        equal([task["exitstatus"] for task in tasks], ["OK"], "tasks")


def checks_sanity(lab, checks):
    with checks.check("its sanity check runs to the end, and finds what is odd in the file"):
        config = pvecontrol_config(lab, "token")
        done = lab.run([program("pvecontrol"), "--config", config, "--no-color", "--no-unicode", "sanitycheck"])
        equal(done.stderr.count("Traceback"), 0, "tracebacks")
        assert "Check Node capacity" in done.stdout, done.stdout
        assert "is not associated to any backup job" in done.stdout, done.stdout


def drains(lab, checks):
    drain = pvecontrol_evacuates(lab)
    with checks.check("node evacuate ends with 0 and moves all four machines"):
        equal(drain.exit_code, 0, drain.output[-800:])
        equal(drain.moves, 4, "moves")
        equal(drain.left_at_end, [], "left on the node")
    with checks.check("what it took for done was not: HA's task says OK well before the machine has left"):
        equal(len(drain.early_s), 2, "machines of HA that were moved")
        assert all(5 <= seconds <= 60 for seconds in drain.early_s), drain.early_s
    with checks.check("all four machines are on one node afterwards, and no harm was done"):
        equal(len(set(drain.places.values())), 1, str(drain.places))
        equal(drain.downtime_s, 0, "downtime without consent")


main()
