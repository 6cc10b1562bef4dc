"""proxmoxer, the library that most Python clients of Proxmox VE use, makes the calls that such clients make."""

from proxmoxer import AuthenticationError, ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

from harness import DEMO, MORE_USERS, Checks, Lab, equal, options, until


def refused(call, **arguments):
    """The exception of a call that must not succeed."""
    try:
        answer = call(**arguments)
    except ResourceException as error:
        return error
    raise AssertionError(f"it was answered: {answer!r}")


def wait(api, upid):
    """Waits for a task as proxmoxer does it; its status."""
    status = Tasks.blocking_status(api, upid, timeout=60, polling_interval=0.1)
    assert status is not None, f"{upid} did not end"
    return status


def main():
    asked, checks = options(), Checks()
    with Lab(asked, "proxmoxer", DEMO, MORE_USERS, asked.time_factor or 60) as lab:
        api = logins(lab, checks)
        reads(lab, checks, api)
        changes(lab, checks, api)
        moves(lab, checks, api)
        high_availability(lab, checks, api)
        refusals(lab, checks, api)
        rights(lab, checks)
        a_node_that_is_down(lab, checks, api)
    checks.end()


def token(lab, name=None, secret=None, node=None):
    user, name = (name or lab.access["token-id"]).split("!")
    return ProxmoxAPI(
        lab.endpoints[node or lab.first_node()],
        user=user,
        token_name=name,
        token_value=secret or lab.access["token-secret"],
        verify_ssl=lab.certificates,
        timeout=30,
    )


def logins(lab, checks):
    password = lab.access["password"]
    with checks.check("root logs in with a password, and the ticket reads and writes"):
        host = lab.endpoints[lab.first_node()]
        ticket = ProxmoxAPI(host, user="root@pam", password=password, verify_ssl=lab.certificates, timeout=30)
        equal(len(ticket.nodes.get()), len(lab.file["node"]), "nodes")
        ticket.nodes("pve1").qemu(110).config.put(description="seen with a ticket")
        equal(ticket.nodes("pve1").qemu(110).config.get()["description"], "seen with a ticket", "description")
    with checks.check("a wrong password is refused with 401"):
        try:
            ProxmoxAPI(lab.endpoints["pve1"], user="root@pam", password="wrong", verify_ssl=False, timeout=30)
        except AuthenticationError:
            pass
        else:
            raise AssertionError("it was let in")
    with checks.check("a token reads"):
        equal(token(lab).version.get()["release"], "9.1", "release")
    with checks.check("a wrong token is refused with 401"):
        error = refused(token(lab, secret="00000000-0000-0000-0000-000000000000").nodes.get)
        equal(error.status_code, 401, "status")
    return token(lab)


def reads(lab, checks, api):
    names = {node["name"] for node in lab.file["node"]}
    with checks.check("the nodes are those of the cluster file, online, with their memory and processors"):
        nodes = {node["node"]: node for node in api.nodes.get()}
        equal(set(nodes), names, "nodes")
        for wanted in lab.file["node"]:
            node = nodes[wanted["name"]]
            equal((node["status"], node["maxcpu"]), ("online", wanted["cpus"]), node["node"])
            equal(node["maxmem"], wanted["memory_gib"] << 30, "maxmem")
    with checks.check("the cluster is quorate and each node is named with its address"):
        status = api.cluster.status.get()
        equal([entry["quorate"] for entry in status if entry["type"] == "cluster"], [1], "quorate")
        equal({entry["name"] for entry in status if entry["type"] == "node"}, names, "nodes")
    with checks.check("the resources list every guest where the file has it, with name, memory and state"):
        seen = {entry["vmid"]: entry for entry in api.cluster.resources.get(type="vm")}
        equal(set(seen), set(lab.guests()), "guests")
        for vmid, wanted in lab.guests().items():
            entry = seen[vmid]
            state = "running" if wanted.get("state", "running") == "running" else "stopped"
            equal((entry["node"], entry["name"], entry["status"]), (wanted["node"], wanted["name"], state), str(vmid))
            equal(entry["maxmem"], wanted["memory_mib"] << 20, f"maxmem of {vmid}")
    with checks.check("each node lists its own virtual machines and containers"):
        for node in names:
            for kind, entries in (("vm", api.nodes(node).qemu.get()), ("ct", api.nodes(node).lxc.get())):
                here = {vmid for vmid, guest in lab.guests(kind).items() if guest["node"] == node}
                equal({int(entry["vmid"]) for entry in entries}, here, f"{kind} on {node}")
    with checks.check("a node's storages and what lies on them"):
        storages = {entry["storage"]: entry for entry in api.nodes("pve1").storage.get()}
        equal(storages["vms"]["shared"], 1, "vms is shared")
        assert storages["vms"]["active"] and storages["vms"]["total"] > 0, storages["vms"]
        isos = [entry["volid"] for entry in api.nodes("pve1").storage("cephfs").content.get(content="iso")]
        equal(isos, ["cephfs:iso/debian-13.2.0-amd64-netinst.iso"], "ISO images")
        equal({entry["storage"] for entry in api.storage.get()}, {s["id"] for s in lab.file["storage"]}, "storages")


def changes(lab, checks, api):
    guest = api.nodes("pve1").qemu(110)
    with checks.check("a value of a configuration is set, read, pending nowhere, and deleted again"):
        guest.config.put(description="twelve", tags="web;seen")
        config = guest.config.get()
        equal((config["description"], config["tags"]), ("twelve", "web;seen"), "configuration")
        guest.config.put(delete="description")
        assert "description" not in guest.config.get()
    with checks.check("a machine is shut down in good order and started again, each as a task with OK"):
        equal(wait(api, guest.status.shutdown.post(timeout=60))["exitstatus"], "OK", "shutdown")
        equal(guest.status.current.get()["status"], "stopped", "status")
        equal(wait(api, guest.status.start.post())["exitstatus"], "OK", "start")
        equal(guest.status.current.get()["status"], "running", "status")
    with checks.check("a container is stopped and started"):
        container = api.nodes("pve1").lxc(205)
        equal(wait(api, container.status.stop.post())["exitstatus"], "OK", "stop")
        equal(container.status.current.get()["status"], "stopped", "status")
        equal(wait(api, container.status.start.post())["exitstatus"], "OK", "start")
        equal(container.status.current.get()["status"], "running", "status")


def moves(lab, checks, api):
    with checks.check("a live migration is asked for, waited for, read in its log, and the machine runs elsewhere"):
        before = api.nodes("pve1").qemu(110).migrate.get(target="pve2")
        assert "pve2" in before["allowed_nodes"], before
        upid = api.nodes("pve1").qemu(110).migrate.post(target="pve2", online=1)
        parts = Tasks.decode_upid(upid)
        equal((parts["node"], parts["type"], parts["id"]), ("pve1", "qmigrate", "110"), upid)
        status = wait(api, upid)
        equal((status["status"], status["exitstatus"]), ("stopped", "OK"), "task")
        log = Tasks.decode_log(api.nodes("pve1").tasks(upid).log.get(limit=0))
        assert log.rstrip().endswith("TASK OK"), log
        equal(api.nodes("pve2").qemu(110).status.current.get()["status"], "running", "status on pve2")
        equal(refused(api.nodes("pve1").qemu(110).config.get).status_code, 500, "the old place")
    with checks.check("the task is in the cluster's list and in the node's"):
        assert any(task["type"] == "qmigrate" and task["id"] == "110" for task in api.cluster.tasks.get())
        here = api.nodes("pve1").tasks.get(typefilter="qmigrate", vmid=110)
        equal([task["status"] for task in here], ["OK"], "node's list")
    with checks.check("a container moves by restart"):
        upid = api.nodes("pve1").lxc(205).migrate.post(target="pve3", restart=1)
        equal(wait(api, upid)["exitstatus"], "OK", "vzmigrate")
        equal(api.nodes("pve3").lxc(205).status.current.get()["status"], "running", "status")
    with checks.check("a migration of a running machine without online is refused with PVE's text"):
        error = refused(api.nodes("pve1").qemu(113).migrate.post, target="pve2")
        equal(error.status_code, 500, "status")
        assert "can't migrate running VM without --online" in str(error), error


def high_availability(lab, checks, api):
    managed = {guest["id"] for guest in lab.file["guest"] if guest.get("ha")}
    with checks.check("HA lists its resources, its rules and where each service is"):
        equal({entry["sid"] for entry in api.cluster.ha.resources.get()}, managed, "resources")
        equal({rule["rule"] for rule in api.cluster.ha.rules.get()}, {rule["id"] for rule in lab.file["rule"]}, "rules")
        services = {e["sid"]: e for e in api.cluster.ha.status.current.get() if e["type"] == "service"}
        equal(set(services), managed, "services")
        assert all(service["state"] == "started" for service in services.values()), services
        manager = api.cluster.ha.status.manager_status.get()["manager_status"]
        equal(set(manager["node_status"].values()), {"online"}, "node_status")
    with checks.check("a task of HA says OK long before the machine has moved"):
        source = api.nodes("pve2").qemu(105)
        upid = source.migrate.post(target="pve1", online=1)
        equal(Tasks.decode_upid(upid)["type"], "hamigrate", upid)
        equal(wait(api, upid)["exitstatus"], "OK", "hamigrate")
        equal(source.status.current.get()["status"], "running", "still on pve2 after OK")
        moved = lambda: any(entry["vmid"] == 105 for entry in api.nodes("pve1").qemu.get())
        until(moved, 60, "vm:105 on pve1")


def refusals(lab, checks, api):
    with checks.check("a parameter that is not in the schema is refused with 400 and named"):
        error = refused(api.nodes("pve1").qemu(113).migrate.post, target="pve2", sideways=1)
        equal(error.status_code, 400, "status")
        assert "sideways" in error.errors, error.errors
    with checks.check("a target that is this node is refused with 400 and the reason"):
        error = refused(api.nodes("pve1").qemu(113).migrate.post, target="pve1", online=1)
        equal((error.status_code, error.errors), (400, {"target": "target is local node."}), "refusal")
    with checks.check("an unknown path is 501"):
        equal(refused(api.nodes("pve1")("nothing").get).status_code, 501, "status")
    with checks.check("a guest that is not there is 500 with the name of its file"):
        error = refused(api.nodes("pve1").qemu(999).config.get)
        equal(error.status_code, 500, "status")
        assert "nodes/pve1/qemu-server/999.conf" in str(error), error
    with checks.check("a node that is not in the cluster is 500"):
        equal(refused(api.nodes("pve9").status.get).status_code, 500, "status")


def rights(lab, checks):
    auditor = token(lab, "auditor@pve!look", "2f7e6f0a-8a4e-4f0e-9d5e-0f4c3f1b9a01")
    nobody = token(lab, "nobody@pve!look", "2f7e6f0a-8a4e-4f0e-9d5e-0f4c3f1b9a02")
    with checks.check("an auditor sees all guests and may change none"):
        equal(len(auditor.cluster.resources.get(type="vm")), len(lab.guests()), "guests")
        error = refused(auditor.nodes("pve1").qemu(113).migrate.post, target="pve2", online=1)
        equal(error.status_code, 403, "status")
        assert "VM.Migrate" in str(error), error
    with checks.check("a user without rights gets a shorter list and no error"):
        equal(nobody.cluster.resources.get(type="vm"), [], "guests")
        equal(nobody.nodes("pve1").qemu.get(), [], "machines")
        equal(refused(nobody.nodes("pve1").qemu(113).config.get).status_code, 403, "configuration")


def a_node_that_is_down(lab, checks, api):
    with checks.check("one node answers for another"):
        equal(api.nodes("pve3").version.get()["release"], "9.1", "release of pve3, asked on pve1")
    with checks.check("a node that has lost its power is 595 through another, and offline in the lists"):
        lab.ask("fault", "power-off", "pve3")
        until(lambda: refusal_code(api.nodes("pve3").status.get) == 595, 60, "595 for pve3")
        offline = lambda: {n["node"]: n["status"] for n in api.nodes.get()}["pve3"] == "offline"
        until(offline, 60, "pve3 is offline in /nodes")
        equal({e["name"]: e["online"] for e in api.cluster.status.get() if e["type"] == "node"}["pve3"], 0, "online")


def refusal_code(call):
    try:
        call()
    except ResourceException as error:
        return error.status_code
    return 200


main()
