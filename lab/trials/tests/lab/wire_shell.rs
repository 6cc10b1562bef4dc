//! The node's programs as people and scripts use them: verbs, exit codes, and what changes in the cluster.

use quorate_core::ids::{GuestId, NodeName};
use quorate_wire::{Gate, ShellExit, Wire};
use quorate_world::World;
use quorate_world::cluster_file::{DEMO, world_from_toml};

struct Lab {
    wire: Wire,
    world: World,
}

impl Lab {
    fn new() -> Self {
        let mut lab =
            Self { wire: Wire::new(Gate::default()), world: world_from_toml(DEMO, 7).expect("the demo builds") };
        lab.wait_s(60);
        lab
    }

    fn wait_s(&mut self, seconds: u64) {
        let later_ms = self.world.now_ms + seconds * 1000;
        self.wire.advance(&mut self.world, later_ms);
    }

    /// Exit status, standard output, standard error; a program that waits for a task is waited for.
    fn run(&mut self, node: &str, command: &str) -> (i32, String, String) {
        let node = NodeName::from(node);
        let mut answer = self.wire.shell(&mut self.world, &node, command);
        for _ in 0..1200 {
            let Some(follow) = answer.follows.clone() else { break };
            if let Some(end) = self.wire.followed(&mut self.world, &node, &follow) {
                answer = end;
                break;
            }
            self.wait_s(1);
        }
        let ShellExit::Status(status) = answer.exit;
        (status, answer.stdout, answer.stderr)
    }

    #[track_caller]
    fn ok(&mut self, node: &str, command: &str) -> String {
        let (status, stdout, stderr) = self.run(node, command);
        assert_eq!(status, 0, "{command}: {stdout}{stderr}");
        stdout
    }

    fn cut_off(&mut self, node: &str) {
        for link in [0, 1] {
            self.world.set_link(&node.into(), link, false);
        }
        self.wait_s(20);
    }
}

#[test]
fn an_unknown_command_is_127_with_bashs_text() {
    let (status, stdout, stderr) = Lab::new().run("pve1", "pvefrobnicate --now");
    assert_eq!((status, stdout.as_str()), (127, ""));
    assert_eq!(stderr, "bash: line 1: pvefrobnicate: command not found\n");
}

#[test]
fn pvesh_prints_json_yaml_and_tables_and_changes_what_the_api_changes() {
    let mut lab = Lab::new();
    let json = lab.ok("pve1", "pvesh get /version --output-format json");
    assert!(json.starts_with("{\"release\":\"9.1\"") && json.ends_with("}\n"), "{json}");
    let pretty = lab.ok("pve1", "pvesh get /version --output-format json-pretty");
    assert!(pretty.starts_with("{\n   \"release\" : \"9.1\",\n"), "{pretty}");
    let yaml = lab.ok("pve1", "pvesh get /version --output-format=yaml");
    assert!(yaml.starts_with("---\nrelease: 9.1\n"), "{yaml}");
    let table = lab.ok("pve1", "pvesh get /version");
    assert!(table.starts_with("┌─") && table.contains("│ release │ 9.1"), "{table}");
    assert_eq!(lab.ok("pve1", "pvesh get /cluster/nextid"), "100\n");
    lab.ok("pve2", "pvesh set /cluster/options --max_workers 3");
    assert_eq!(lab.world.options.max_workers, Some(3));
    lab.ok(
        "pve2",
        "pvesh create /cluster/ha/rules --type node-affinity --rule r1 --resources vm:101 --nodes pve1:2,pve2",
    );
    assert!(lab.world.ha.rules.contains_key("r1"));
    lab.ok("pve2", "pvesh delete /cluster/ha/rules/r1");
    assert!(!lab.world.ha.rules.contains_key("r1"));
    let upid = lab.ok("pve1", "pvesh create /nodes/pve1/qemu/110/status/stop");
    assert!(upid.starts_with("UPID:pve1:") && upid.contains(":qmstop:110:root@pam:"), "{upid}");
}

#[test]
fn pvesh_says_what_is_wrong_on_standard_error_with_status_255() {
    let mut lab = Lab::new();
    let (status, _, stderr) = lab.run("pve1", "pvesh get /nodes/pve1/nothing");
    assert_eq!((status, stderr.as_str()), (255, "No 'get' handler defined for '/nodes/pve1/nothing'\n"));
    let (status, _, stderr) = lab.run("pve1", "pvesh create /nodes/pve1/qemu/110/migrate --online 2");
    assert_eq!(status, 255);
    assert!(
        stderr.starts_with("400 Parameter verification failed.\nonline: type check ('boolean') failed"),
        "{stderr}"
    );
    assert!(stderr.contains("target: property is missing and it is not optional\n"), "{stderr}");
    let (status, _, stderr) = lab.run("pve1", "pvesh get /version --output-format xml");
    assert_eq!(status, 255);
    assert!(stderr.contains("output-format: value 'xml' does not have a value in the enumeration"), "{stderr}");
}

#[test]
fn pvesh_ls_shows_what_is_below_a_path() {
    let listed = Lab::new().ok("pve1", "pvesh ls /nodes/pve1");
    assert!(listed.contains("Dr---        qemu\n") && listed.contains("-r---        version\n"), "{listed}");
    assert!(listed.contains("-rw--        status\n") || listed.contains("-r-c-        status\n"), "{listed}");
}

#[test]
fn qm_and_pct_wait_for_their_tasks_and_fail_with_them() {
    let mut lab = Lab::new();
    lab.ok("pve1", "qm shutdown 110 --timeout 120");
    assert!(!lab.world.guests[&GuestId::vm(110)].is_running());
    assert_eq!(lab.ok("pve1", "qm status 110"), "status: stopped\n");
    lab.ok("pve1", "qm start 110");
    assert_eq!(lab.ok("pve1", "qm status 110"), "status: running\n");
    let (status, _, stderr) = lab.run("pve1", "qm start 110");
    assert_eq!((status, stderr.as_str()), (255, "VM 110 already running\n"));
    lab.ok("pve1", "pct reboot 205");
    assert_eq!(lab.ok("pve1", "pct status 205"), "status: running\n");
    lab.ok("pve1", "qm migrate 110 pve2 --online");
    assert_eq!(lab.world.guests[&GuestId::vm(110)].node, "pve2".into());
    let (status, _, stderr) = lab.run("pve1", "qm status 110");
    assert_eq!((status, stderr.as_str()), (2, "Configuration file 'nodes/pve1/qemu-server/110.conf' does not exist\n"));
    let (status, _, stderr) = lab.run("pve2", "qm migrate 110 pve1");
    assert_eq!((status, stderr.as_str()), (255, "can't migrate running VM without --online\n"));
    let (status, _, stderr) = lab.run("pve2", "qm migrate 110");
    assert_eq!((status, stderr.as_str()), (255, "400 not enough arguments\nqm migrate <vmid> <target>\n"));
    let (status, _, stderr) = lab.run("pve2", "qm frob 110");
    assert_eq!((status, stderr.as_str()), (255, "ERROR: unknown command 'qm frob'\n"));
}

#[test]
fn qm_set_snapshot_resize_and_unlock_change_the_guests_file() {
    let mut lab = Lab::new();
    lab.ok("pve1", "qm set 110 --onboot 1 --tags 'a;b' --description 'a guest'");
    let config = lab.ok("pve1", "qm config 110");
    assert!(config.contains("onboot: 1\n") && config.contains("description: a guest\n"), "{config}");
    assert_eq!(lab.ok("pve1", "cat /etc/pve/qemu-server/110.conf"), config);
    lab.ok("pve1", "qm snapshot 110 before");
    assert!(lab.ok("pve1", "qm listsnapshot 110").contains("before"));
    lab.ok("pve1", "qm delsnapshot 110 before");
    assert!(lab.world.guests[&GuestId::vm(110)].snapshots.is_empty());
    let before = lab.world.guests[&GuestId::vm(110)].disks[0].size_bytes;
    lab.ok("pve1", "qm resize 110 scsi0 +2G");
    assert_eq!(lab.world.guests[&GuestId::vm(110)].disks[0].size_bytes, before + (2 << 30));
    lab.world.guests.get_mut(&GuestId::vm(110)).expect("it is there").lock = Some("backup".into());
    let (status, _, stderr) = lab.run("pve1", "qm snapshot 110 again");
    assert_eq!((status, stderr.as_str()), (255, "VM is locked (backup)\n"));
    lab.ok("pve1", "qm unlock 110");
    lab.ok("pve1", "qm snapshot 110 again");
}

#[test]
fn ha_manager_changes_resources_and_rules() {
    let mut lab = Lab::new();
    lab.ok("pve1", "ha-manager add vm:110 --state started --max_restart 2");
    assert_eq!(lab.world.ha.resources[&GuestId::vm(110)].max_restart, 2);
    lab.ok("pve1", "ha-manager set vm:110 --state stopped");
    assert!(lab.ok("pve1", "ha-manager config").contains("vm:110\n"));
    lab.ok("pve1", "ha-manager rules add node-affinity keep --resources vm:110 --nodes pve1");
    let rules = lab.ok("pve1", "ha-manager rules config");
    assert!(rules.contains("node-affinity: keep\n") && rules.contains("\tnodes pve1\n"), "{rules}");
    lab.ok("pve1", "ha-manager rules remove keep");
    lab.ok("pve1", "ha-manager remove vm:110");
    assert!(!lab.world.ha.resources.contains_key(&GuestId::vm(110)));
    let (status, _, stderr) = lab.run("pve1", "ha-manager groupconfig");
    assert_eq!((status, stderr.as_str()), (255, "cannot index groups: ha groups have been migrated to rules\n"));
    let (status, _, stderr) = lab.run("pve1", "ha-manager migrate vm:999 pve2");
    assert_eq!((status, stderr.as_str()), (255, "resource 'vm:999' is not HA managed\n"));
}

#[test]
fn pvecm_ends_with_2_without_quorum_and_with_1_without_corosync() {
    let mut lab = Lab::new();
    assert_eq!(lab.run("pve1", "pvecm status").0, 0);
    let refused = lab.run("pve1", "pvecm expected 1");
    assert_eq!((refused.0, refused.2.as_str()), (1, "Unable to set expected votes: CS_ERR_INVALID_PARAM\n"));
    lab.cut_off("pve1");
    let (status, stdout, _) = lab.run("pve1", "pvecm status");
    assert_eq!(status, 2);
    assert!(
        stdout.contains("Quorate:          No\n") && stdout.contains("Quorum:           2 Activity blocked\n"),
        "{stdout}"
    );
    assert_eq!(lab.run("pve1", "pvecm nodes").0, 0);
    lab.ok("pve1", "pvecm expected 1");
    assert_eq!(lab.run("pve1", "corosync-quorumtool -s").0, 0);
    lab.ok("pve2", "systemctl stop corosync");
    lab.wait_s(2);
    let (status, _, stderr) = lab.run("pve2", "corosync-quorumtool -s");
    assert_eq!((status, stderr.as_str()), (1, "Cannot initialize CMAP service\n"));
}

#[test]
fn without_quorum_programs_fail_as_the_api_does_and_ha_status_still_ends_with_0() {
    let mut lab = Lab::new();
    lab.cut_off("pve1");
    let (status, stdout, _) = lab.run("pve1", "ha-manager status");
    assert_eq!(status, 0);
    assert!(stdout.starts_with("quorum No quorum on node 'pve1'!\n"), "{stdout}");
    let (status, _, stderr) = lab.run("pve1", "qm migrate 110 pve2 --online");
    assert_eq!((status, stderr.as_str()), (255, "cluster not ready - no quorum?\n"));
    let (status, _, stderr) = lab.run("pve1", "qm set 110 --onboot 1");
    assert_eq!(status, 255);
    assert!(stderr.starts_with("unable to open file '/etc/pve/nodes/pve1/qemu-server/110.conf.tmp."), "{stderr}");
    assert_eq!(lab.run("pve1", "touch /etc/pve/x").0, 1);
    assert_eq!(lab.run("pve1", "test -w /etc/pve/local").0, 1);
}

#[test]
fn the_checker_prints_colours_without_a_terminal_and_ends_with_0_whatever_it_found() {
    let mut lab = Lab::new();
    lab.ok("pve1", "apt-get update");
    lab.wait_s(60);
    let report = lab.ok("pve1", "pve8to9 --full");
    assert!(report.starts_with("= CHECKING VERSION INFORMATION FOR PVE PACKAGES =\n\n"), "{report}");
    assert!(report.contains("\u{1b}[32mPASS: already upgraded to Proxmox VE 9\n\u{1b}[0m"), "{report}");
    assert!(report.contains("\u{1b}[33mWARN: updates for the following packages are available:\n  "), "{report}");
    assert!(report.contains("FAILURES: 0\n") && report.contains("\nATTENTION: Please check the output"), "{report}");
    let plain = lab.ok("pve1", "NO_COLOR=1 pve8to9");
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let counted = |word: &str| plain.lines().filter(|line| line.starts_with(&format!("{word}:"))).count();
    let total: usize = ["PASS", "SKIP", "NOTICE", "WARN", "FAIL"].iter().map(|word| counted(word)).sum();
    assert!(plain.contains(&format!("TOTAL:    {total}\n")), "{plain}");
    // A node that is away is a failure, and the status still 0.
    lab.world.power_off(&"pve3".into());
    lab.wait_s(30);
    assert!(lab.ok("pve1", "pve8to9").contains("\u{1b}[1;31mFAIL: 1 nodes are offline!\n"));
    assert_eq!(lab.run("pve1", "pve7to8").0, 127, "PVE 9 does not bring it");
}

#[test]
fn packages_are_asked_about_as_debian_answers() {
    let mut lab = Lab::new();
    lab.ok("pve1", "apt-get update");
    lab.wait_s(60);
    let policy = lab.ok("pve1", "apt-cache policy pve-manager");
    assert!(policy.starts_with("pve-manager:\n  Installed: 9.1.1\n  Candidate: 9.1."), "{policy}");
    let status = lab.ok("pve1", "dpkg -s pve-manager");
    assert!(status.contains("Status: install ok installed\n"), "{status}");
    let (status, _, stderr) = lab.run("pve1", "dpkg -s nothing");
    assert_eq!((status, stderr.lines().count()), (1, 1));
    assert!(lab.ok("pve1", "apt-get -s dist-upgrade").contains("Inst pve-manager [9.1.1]"));
    assert_eq!(
        lab.ok("pve1", "pveversion").split(' ').next().map(|word| word.starts_with("pve-manager/9.1.1/")),
        Some(true)
    );
    assert!(lab.ok("pve1", "pveversion -v").starts_with("proxmox-ve: 9.1.0 (running kernel: 6.17.2-1-pve)\n"));
}

#[test]
fn a_kernel_is_pinned_and_comes_up_with_the_next_boot() {
    let mut lab = Lab::new();
    assert!(
        lab.ok("pve1", "proxmox-boot-tool kernel list").contains("Automatically selected kernels:\n6.17.2-1-pve\n")
    );
    lab.ok("pve1", "proxmox-boot-tool kernel pin 6.17.2-1-pve");
    assert_eq!(lab.ok("pve1", "cat /etc/kernel/proxmox-boot-pin"), "6.17.2-1-pve\n");
    assert!(lab.ok("pve1", "proxmox-boot-tool kernel list").ends_with("\nPinned kernel:\n6.17.2-1-pve\n"));
    assert_eq!(lab.run("pve1", "proxmox-boot-tool kernel pin 5.4.1-1-pve").0, 1);
    lab.ok("pve1", "proxmox-boot-tool kernel unpin");
    assert_eq!(lab.run("pve1", "cat /etc/kernel/proxmox-boot-pin").0, 1);
    let (status, _, stderr) = lab.run("pve1", "proxmox-boot-tool status");
    assert_eq!((status, stderr.as_str()), (1, "E: /etc/kernel/proxmox-boot-uuids does not exist.\n"));
}

#[test]
fn files_that_tools_read_are_there() {
    let mut lab = Lab::new();
    for (path, part) in [
        ("/etc/os-release", "VERSION_CODENAME=trixie\n"),
        ("/etc/debian_version", "13."),
        ("/etc/hostname", "pve1\n"),
        ("/etc/hosts", "10.10.1.1 pve1.lab.internal pve1\n"),
        ("/etc/pve/corosync.conf", "cluster_name: demo\n"),
        ("/etc/pve/datacenter.cfg", "max_workers: 4\n"),
        ("/etc/pve/.members", "\"nodename\""),
        ("/etc/pve/ceph.conf", "[global]\n"),
        ("/etc/pve/nodes/pve2/qemu-server/111.conf", "name: web2\n"),
        ("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-6.17.2-1-pve "),
        ("/proc/sys/kernel/random/boot_id", "-"),
        ("/proc/meminfo", "MemTotal: "),
    ] {
        let text = lab.ok("pve1", &format!("cat {path}"));
        assert!(text.contains(part), "{path}: {text}");
    }
    let sources = lab.ok("pve1", "ls /etc/apt/sources.list.d");
    let file = sources.lines().next().expect("there are sources");
    assert!(lab.ok("pve1", &format!("cat /etc/apt/sources.list.d/{file}")).contains("proxmox.com"));
    let (status, _, stderr) = lab.run("pve1", "cat /etc/nothing");
    assert_eq!((status, stderr.as_str()), (1, "cat: /etc/nothing: No such file or directory\n"));
}

#[test]
fn pveum_makes_the_token_of_the_readme() {
    let mut lab = Lab::new();
    lab.ok("pve1", "pveum role add Quorate -privs \"Sys.Audit Sys.Modify VM.Audit VM.Migrate\"");
    lab.ok("pve1", "pveum user add quorate@pve");
    let shown = lab.ok("pve1", "pveum user token add quorate@pve run --privsep 0");
    assert!(shown.contains("full-tokenid") && shown.contains("quorate@pve!run"), "{shown}");
    lab.ok("pve1", "pveum acl modify / --users quorate@pve --roles Quorate");
    assert!(lab.world.access.allows("quorate@pve!run", "/vms/101", "VM.Migrate"));
    assert!(!lab.world.access.allows("quorate@pve!run", "/", "Sys.PowerMgmt"));
}
