//! Without quorum /etc/pve cannot be written: which calls fail, with which words, and which still work.

use super::samples::{Start, sample};
use super::{Lab, body, methods};

const NOT_READY: &str = "cluster not ready - no quorum?";

/// Calls that fail, and what the reason phrase begins with. All others answer as before.
const REFUSED: &[(&str, &str, &str)] = &[
    ("POST", "/access/users", "create user failed: cfs-lock 'file-user_cfg' error: no quorum!"),
    ("DELETE", "/access/users/{userid}", "delete user failed: cfs-lock 'file-user_cfg' error: no quorum!"),
    ("POST", "/access/users/{userid}/token/{tokenid}", "cfs-lock 'file-user_cfg' error: no quorum!"),
    ("DELETE", "/access/users/{userid}/token/{tokenid}", "cfs-lock 'file-user_cfg' error: no quorum!"),
    ("POST", "/access/roles", "cfs-lock 'file-user_cfg' error: no quorum!"),
    ("DELETE", "/access/roles/{roleid}", "cfs-lock 'file-user_cfg' error: no quorum!"),
    ("PUT", "/access/acl", "cfs-lock 'file-user_cfg' error: no quorum!"),
    ("POST", "/cluster/ha/groups", "create ha group failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("PUT", "/cluster/ha/groups/{group}", "update ha group failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("DELETE", "/cluster/ha/groups/{group}", "delete ha group failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("POST", "/cluster/ha/resources", "create resource failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("PUT", "/cluster/ha/resources/{sid}", "update resources config failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("DELETE", "/cluster/ha/resources/{sid}", "delete resource failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("POST", "/cluster/ha/resources/{sid}/migrate", "cfs-lock 'domain-ha' error: no quorum!"),
    ("POST", "/cluster/ha/resources/{sid}/relocate", "cfs-lock 'domain-ha' error: no quorum!"),
    ("POST", "/cluster/ha/status/disarm-ha", "cfs-lock 'domain-ha' error: no quorum!"),
    ("POST", "/cluster/ha/status/arm-ha", "cfs-lock 'domain-ha' error: no quorum!"),
    ("POST", "/cluster/ha/rules", "create ha rule failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("PUT", "/cluster/ha/rules/{rule}", "update ha rule failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("DELETE", "/cluster/ha/rules/{rule}", "delete ha rule failed: cfs-lock 'domain-ha' error: no quorum!"),
    ("PUT", "/cluster/options", "cfs-lock 'file-datacenter_cfg' error: no quorum!"),
    ("POST", "/cluster/replication", "cfs-lock 'file-replication_cfg' error: no quorum!"),
    ("PUT", "/cluster/replication/{id}", "cfs-lock 'file-replication_cfg' error: no quorum!"),
    ("DELETE", "/cluster/replication/{id}", "cfs-lock 'file-replication_cfg' error: no quorum!"),
    ("GET", "/nodes/{node}/qemu/{vmid}/migrate", NOT_READY),
    ("POST", "/nodes/{node}/qemu/{vmid}/migrate", NOT_READY),
    ("GET", "/nodes/{node}/lxc/{vmid}/migrate", NOT_READY),
    ("POST", "/nodes/{node}/lxc/{vmid}/migrate", NOT_READY),
    ("PUT", "/nodes/{node}/qemu/{vmid}/config", "unable to open file '/etc/pve/nodes/pve1/qemu-server/"),
    ("POST", "/nodes/{node}/qemu/{vmid}/config", "unable to open file '/etc/pve/nodes/pve1/qemu-server/"),
    ("PUT", "/nodes/{node}/lxc/{vmid}/config", "unable to open file '/etc/pve/nodes/pve1/lxc/"),
    ("PUT", "/nodes/{node}/qemu/{vmid}/resize", "unable to open file '/etc/pve/nodes/pve1/qemu-server/"),
    ("PUT", "/nodes/{node}/lxc/{vmid}/resize", "unable to open file '/etc/pve/nodes/pve1/lxc/"),
    ("POST", "/nodes/{node}/qemu/{vmid}/snapshot", "unable to open file '/etc/pve/nodes/pve1/qemu-server/"),
    ("POST", "/nodes/{node}/lxc/{vmid}/snapshot", "unable to open file '/etc/pve/nodes/pve1/lxc/"),
    (
        "DELETE",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        "unable to open file '/etc/pve/nodes/pve1/qemu-server/",
    ),
    ("DELETE", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", "unable to open file '/etc/pve/nodes/pve1/lxc/"),
];

#[test]
fn what_writes_below_etc_pve_fails_with_pves_words_and_nothing_else_does() {
    let start = Start::new();
    let mut refused = 0;
    for method in methods() {
        let mut lab = start.lab(&method);
        let call = sample(&mut lab, &method, "pve1");
        for link in [0, 1] {
            lab.world.set_link(&"pve1".into(), link, false);
        }
        // Long enough for corosync to notice, too short for the watchdog.
        lab.wait_s(20);
        // Ceph has a quorum of its own, which the lab's cut of a cable does not touch.
        let answer = lab.call("pve1", &method.method, &call.path, &call.params);
        let name = format!("{} {}", method.method, method.path);
        let expected = REFUSED.iter().find(|(verb, path, _)| (*verb, *path) == (&method.method, &method.path));
        match expected {
            Some((.., text)) => {
                assert_eq!(answer.status, 500, "{name}: {}", answer.reason);
                assert!(answer.reason.starts_with(text), "{name}: {}", answer.reason);
                assert_eq!(body(&answer)["message"], format!("{}\n", answer.reason), "{name}");
                refused += 1;
            }
            None => assert_eq!(answer.status, 200, "{name}: {}", answer.reason),
        }
    }
    assert_eq!(refused, REFUSED.len(), "every call of the table is there");
}

#[test]
fn the_file_that_cannot_be_written_is_named_with_the_writing_process() {
    let mut lab = Lab::demo();
    for link in [0, 1] {
        lab.world.set_link(&"pve1".into(), link, false);
    }
    lab.wait_s(20);
    let answer = lab.call("pve1", "PUT", "/nodes/pve1/qemu/110/config", &super::pairs("onboot=1"));
    let (front, rest) = answer.reason.split_once(".tmp.").expect("a temporary file");
    assert_eq!(front, "unable to open file '/etc/pve/nodes/pve1/qemu-server/110.conf");
    assert!(rest.split_once("' - ").is_some_and(|(pid, why)| pid.parse::<u32>().is_ok() && why == "Permission denied"));
}
