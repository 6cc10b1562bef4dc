"""proxlb reads the whole cluster, and empties a node that its configuration puts into maintenance, once."""

import json

from drains import DRAINED, proxlb_config, proxlb_drains
from harness import DEMO, THREE_NODES, Checks, Lab, equal, options, program


def main():
    asked, checks = options(), Checks()
    with Lab(asked, "proxlb", DEMO, time_factor=asked.time_factor or 60) as lab:
        reads(lab, checks)
    with Lab(asked, "proxlb-drain", THREE_NODES, time_factor=asked.time_factor or 10) as lab:
        drains(lab, checks)
    checks.end()


def reads(lab, checks):
    """A dry run, with its picture of the cluster as JSON."""
    with checks.check("a dry run reads nodes and running guests as the file has them, and moves no guest"):
        config = proxlb_config(lab, enable=False)
        done = lab.run([program("python"), "-m", "proxlb", "--config", config, "--dry-run", "--json"])
        equal(done.returncode, 0, done.stderr[-1500:])
        picture, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{"):])
        equal(set(picture["nodes"]), {node["name"] for node in lab.file["node"]}, "nodes")
        running = {g["name"]: g["node"] for g in lab.guests().values() if g.get("state", "running") == "running"}
        equal({name: guest["node_current"] for name, guest in picture["guests"].items()}, running, "guests")
        equal(lab.ledger()["moves"], 0, "moves")
    with checks.check("nothing that it asked for was missing"):
        equal([line for line in (done.stdout + done.stderr).splitlines() if "Failed to" in line], [], "complaints")


def drains(lab, checks):
    drain = proxlb_drains(lab)
    with checks.check("a node in maintenance is emptied: four moves, exit code 0"):
        equal(drain.exit_code, 0, drain.output[-1500:])
        equal((drain.moves, drain.left_at_end), (4, []), "moves, left at the end")
    with checks.check("it waits for the migration itself: no guest is left when it ends"):
        equal(drain.left_when_said, [], f"on {DRAINED} when it ended")
    with checks.check("no guest was down, and nothing is left to undo"):
        equal((drain.downtime_s, drain.owed, drain.clean), (0, 0, True), "downtime, still to undo, clean")


main()
