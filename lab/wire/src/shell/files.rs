//! Programs that read and write files, and the few files that exist: /etc/pve is the same on every node.

use std::fmt::Write as _;

use quorate_core::ids::GuestKind;
use quorate_world::node::AfterDown;

use super::debian::glob;
use super::{Options, Output, Shell};
use crate::api::{config, datacenter, ha_manager_status};

impl Shell<'_> {
    pub(super) fn files(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        Some(match name {
            "cat" => self.cat(args),
            "head" | "tail" if !last_is_file(args) => return None,
            "head" | "tail" => self.part(name, args),
            "stat" => self.stat(args),
            "find" => self.find(args),
            "ls" => self.ls(args),
            "test" | "[" => self.test(name, args),
            "touch" | "mkdir" | "rmdir" | "rm" => self.change(name, args),
            _ => return None,
        })
    }

    /// The text of a file, if there is one.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        if path.starts_with("/etc/pve/") && self.world.pmxcfs_is_away(self.node) {
            return None;
        }
        if let Some(file) = self.world.files.get(path) {
            return file.text.clone();
        }
        let node = self.here();
        if let Some(lines) = node.unit_logs.get(path) {
            return Some(lines.iter().map(|line| format!("{line}\n")).collect());
        }
        if let Some(file) = self.world.files.get(path) {
            return file.text.clone();
        }
        Some(match path {
            "/proc/sys/kernel/random/boot_id" => format!("{}\n", node.boot_id),
            "/proc/uptime" => format!("{0}.00 {0}.00\n", node.uptime_s(self.world.now_ms)),
            "/etc/hostname" => format!("{}\n", self.node),
            "/etc/pve/corosync.conf" | "/etc/corosync/corosync.conf" => self.corosync_conf(),
            "/etc/pve/ceph.conf" | "/etc/ceph/ceph.conf" => self.ceph_conf()?,
            "/etc/pve/.members" => self.members_file(),
            "/etc/pve/ha/manager_status" => {
                format!("{}\n", ha_manager_status(self.world, self.node)["manager_status"])
            }
            "/etc/network/interfaces" => self.interfaces_file(),
            "/run/reboot-required" => {
                node.surroundings.reboot_required.as_ref().map(|_| "*** System restart required ***\n".to_owned())?
            }
            "/run/reboot-required.pkgs" => {
                let packages = node.surroundings.reboot_required.as_ref().filter(|packages| !packages.is_empty())?;
                packages.iter().map(|package| format!("{package}\n")).collect()
            }
            "/run/systemd/shutdown/scheduled" => {
                let (due_ms, then) = node.shutdown_due?;
                let mode = if then == AfterDown::Reboot { "reboot" } else { "poweroff" };
                format!("USEC={due_ms}000\nWARN_WALL=1\nMODE={mode}\n")
            }
            // As `grep -r` sees it: the lines of all files in it.
            "/etc/systemd/network" if !node.surroundings.pinned_nics.is_empty() => {
                node.surroundings.pinned_nics.iter().map(|nic| format!("Name={nic}\n")).collect()
            }
            "/etc/pve/datacenter.cfg" => datacenter::file(self.world),
            "/etc/pve/local" => String::new(),
            path if self.known_hosts(path).is_some() => self.known_hosts(path)?,
            _ => self.system_file(path).or_else(|| self.guest_file(path)).or_else(|| self.lrm_file(path))?,
        })
    }

    /// The host key of a node, which releases from 8.2 on keep there.
    fn known_hosts(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix("/etc/pve/nodes/")?.strip_suffix("/ssh_known_hosts")?;
        let node = self.world.nodes.get(&quorate_core::ids::NodeName::new(name))?;
        (crate::release(node) >= (8, 2)).then(|| format!("{name} ssh-rsa AAAAB3NzaC1yc2E\n"))
    }

    /// `/etc/pve/qemu-server/101.conf`, `/etc/pve/nodes/pve2/lxc/201.conf`.
    fn guest_file(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix("/etc/pve/")?;
        let (node, rest) = match rest.strip_prefix("nodes/") {
            Some(rest) => rest.split_once('/')?,
            None => (self.node.as_str(), rest),
        };
        let (kind, file) = rest.split_once('/')?;
        let kind = match kind {
            "qemu-server" => GuestKind::Vm,
            "lxc" => GuestKind::Ct,
            _ => return None,
        };
        let vmid: u32 = file.strip_suffix(".conf")?.parse().ok()?;
        let guest = self
            .world
            .guests
            .values()
            .find(|guest| guest.id.vmid.0 == vmid && guest.id.kind == kind && guest.node.as_str() == node)?;
        Some(config_text(guest))
    }

    /// `/etc/pve/nodes/pve2/lrm_status`: what that node's LRM wrote last.
    fn lrm_file(&self, path: &str) -> Option<String> {
        let node = path.strip_prefix("/etc/pve/nodes/")?.strip_suffix("/lrm_status")?;
        let status = ha_manager_status(self.world, self.node);
        let lrm = status["lrm_status"].get(node)?;
        Some(if lrm.is_null() { String::new() } else { lrm.to_string() })
    }

    fn cat(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &[]);
        if options.rest.is_empty() {
            return Output::ok(self.stdin.clone());
        }
        let mut output = Output::default();
        for path in options.rest {
            match self.read(path) {
                Some(text) => output.stdout.push_str(&text),
                None => {
                    output.status = 1;
                    let _ = writeln!(output.stderr, "cat: {path}: No such file or directory");
                }
            }
        }
        output
    }

    fn part(&self, name: &str, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-n", "--lines", "-c"]);
        let count = options.value(&["-n", "--lines"]).and_then(|count| count.parse().ok()).unwrap_or(10);
        let path = options.rest.first().copied().unwrap_or_default();
        let Some(text) = self.read(path) else {
            return Output::fail(1, format!("{name}: cannot open '{path}' for reading: No such file or directory\n"));
        };
        let lines: Vec<_> = text.lines().collect();
        let lines = match name {
            "head" => &lines[..count.min(lines.len())],
            _ => &lines[lines.len().saturating_sub(count)..],
        };
        Output::ok(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
    }

    /// When a file was written, Unix seconds.
    pub(super) fn modified_s(&self, path: &str) -> Option<u64> {
        match path {
            "/var/lib/pve-manager/pkgupdates" => {
                let at_ms = self.here().packages.lists_at_ms;
                (at_ms > 0).then_some(at_ms / 1000)
            }
            _ if self.mode(path).is_some() => Some(self.world.started_ms / 1000),
            _ => self.read(path).map(|_| self.world.started_ms / 1000),
        }
    }

    fn stat(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-c", "--format"]);
        let mut output = Output::default();
        for path in &options.rest {
            let Some(modified_s) = self.modified_s(path) else {
                output.status = 1;
                let _ = writeln!(output.stderr, "stat: cannot statx '{path}': No such file or directory");
                continue;
            };
            let size = self.read(path).map_or(0, |text| text.len());
            let format = options.value(&["-c", "--format"]).unwrap_or("  File: %n\n  Size: %s");
            let text = format.replace("%Y", &modified_s.to_string()).replace("%s", &size.to_string());
            // Without quorum pmxcfs removes the write bits from all files it shows.
            let read_only = path.starts_with("/etc/pve") && !self.world.writable(self.node);
            let text = text.replace("%a", if read_only { "555" } else { "755" });
            let kind = match *path {
                "/etc/pve/local" => 'l',
                path if self.names(path).is_some() => 'd',
                _ => '-',
            };
            let bits = if read_only { "r-xr-xr-x" } else { "rwxr-xr-x" };
            let mode = self.mode(path).unwrap_or_else(|| format!("{kind}{bits}"));
            let text = text.replace("%A", &mode);
            let _ = writeln!(output.stdout, "{}", text.replace("%n", path));
        }
        output
    }

    /// Type and mode of what guests may need of the node: devices, and snippets on its storages.
    fn mode(&self, path: &str) -> Option<String> {
        let own = self.here().surroundings.paths.get(path).cloned();
        own.or_else(|| {
            let mut storages = self.world.storages.values().filter(|storage| !storage.inactive_on.contains(self.node));
            let is_it = |volume: &str, id: &str| quorate_world::path_of(&format!("{id}:{volume}")) == path;
            let has = |storage: &quorate_world::store::Storage| {
                let mut files = storage.files.keys().filter(|volume| storage.has_file(volume, self.node));
                files.any(|volume| is_it(volume, storage.id.as_str()))
            };
            storages.any(has).then(|| "-rwxr-xr-x".to_owned())
        })
    }

    /// Names in a directory.
    pub(super) fn names(&self, directory: &str) -> Option<Vec<String>> {
        if directory.starts_with("/etc/pve/") && self.world.pmxcfs_is_away(self.node) {
            return None;
        }
        let node = self.here();
        let kernels = || node.kernel.installed.iter();
        let guests = |kind: GuestKind| -> Vec<String> {
            let here = self.world.guests.values().filter(|guest| guest.node == *self.node && guest.id.kind == kind);
            here.map(|guest| format!("{}.conf", guest.id.vmid)).collect()
        };
        let mut names: Vec<String> = match directory.trim_end_matches('/') {
            "/boot" => ["config", "initrd.img", "System.map", "vmlinuz"]
                .iter()
                .flat_map(|stem| kernels().map(move |version| format!("{stem}-{version}")))
                .collect(),
            "/run" => self.reboot_required_files(),
            // With the directory in between: `find -maxdepth 2` sees it.
            "/run/systemd" => node.shutdown_due.iter().map(|_| "shutdown/scheduled".to_owned()).collect(),
            "/etc/pve/nodes" => self.world.nodes.keys().map(ToString::to_string).collect(),
            "/etc/pve/qemu-server" => guests(GuestKind::Vm),
            "/etc/pve/lxc" => guests(GuestKind::Ct),
            "/lib/modules" => kernels().map(ToString::to_string).collect(),
            "/etc/apt/sources.list.d" => {
                let files =
                    node.repositories.iter().filter_map(|entry| entry.path.strip_prefix("/etc/apt/sources.list.d/"));
                let files: std::collections::BTreeSet<_> = files.map(str::to_owned).collect();
                files.into_iter().collect()
            }
            "/var/log" => {
                node.unit_logs.keys().filter_map(|path| path.strip_prefix("/var/log/")).map(str::to_owned).collect()
            }
            _ => return None,
        };
        names.sort();
        Some(names)
    }

    fn reboot_required_files(&self) -> Vec<String> {
        match &self.here().surroundings.reboot_required {
            None => Vec::new(),
            Some(packages) if packages.is_empty() => vec!["reboot-required".to_owned()],
            Some(_) => ["reboot-required", "reboot-required.pkgs"].map(str::to_owned).to_vec(),
        }
    }

    fn find(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-maxdepth", "-mindepth", "-name", "-type", "-path"]);
        let mut output = Output::default();
        for directory in &options.rest {
            let Some(names) = self.names(directory) else {
                output.status = 1;
                let _ = writeln!(output.stderr, "find: '{directory}': No such file or directory");
                continue;
            };
            let pattern = options.value(&["-name"]).unwrap_or("*");
            for name in names.iter().filter(|name| glob(pattern, name.rsplit('/').next().unwrap_or(name))) {
                let _ = writeln!(output.stdout, "{}/{name}", directory.trim_end_matches('/'));
            }
        }
        output
    }

    fn ls(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &[]);
        let mut output = Output::default();
        for path in &options.rest {
            // The shell would have expanded a pattern: `ls /boot/vmlinuz-*`.
            let (directory, pattern) = path.rsplit_once('/').unwrap_or((".", path));
            match (self.names(path), self.names(directory), self.read(path)) {
                (Some(names), ..) => output.stdout.extend(names.iter().map(|name| format!("{name}\n"))),
                (_, Some(names), _) if names.iter().any(|name| glob(pattern, name)) => {
                    let found = names.iter().filter(|name| glob(pattern, name));
                    output.stdout.extend(found.map(|name| format!("{directory}/{name}\n")));
                }
                (.., Some(_)) => {
                    let _ = writeln!(output.stdout, "{path}");
                }
                _ => {
                    output.status = 2;
                    let _ = writeln!(output.stderr, "ls: cannot access '{path}': No such file or directory");
                }
            }
        }
        output
    }

    /// Changes below /etc/pve; a change anywhere else has no effect and succeeds.
    fn change(&mut self, name: &str, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-d", "-m", "-r", "-t"]);
        let node = self.node.clone();
        let mut output = Output::default();
        for path in options.rest.iter().filter(|path| path.starts_with("/etc/pve/")) {
            let is_file = self.world.files.get(*path).map(|file| file.text.is_some());
            let changed = match (name, is_file) {
                ("mkdir", _) => self.world.pmxcfs_mkdir(&node, path),
                ("touch", None) if options.has(&["-c", "--no-create"]) => Ok(()),
                ("touch", None) => self.world.pmxcfs_write(&node, path, ""),
                ("touch", _) => {
                    let to_zero = options.value(&["-d", "--date"]) == Some("@0");
                    self.world.pmxcfs_touch(&node, path, to_zero)
                }
                ("rmdir", Some(true)) => Err("Not a directory"),
                ("rm", Some(false)) if !options.has(&["-r", "-rf", "-d"]) => Err("Is a directory"),
                _ => self.world.pmxcfs_remove(&node, path),
            };
            let what = match name {
                "mkdir" => "cannot create directory",
                "touch" if is_file.is_none() => "cannot touch",
                "touch" => "setting times of",
                "rmdir" => "failed to remove",
                _ => "cannot remove",
            };
            match changed {
                Err("No such file or directory") if options.has(&["-f", "-rf"]) => {}
                Err("File exists") if options.has(&["-p"]) => {}
                Err(why) => {
                    output.status = 1;
                    let _ = writeln!(output.stderr, "{name}: {what} '{path}': {why}");
                }
                Ok(()) => {}
            }
        }
        output
    }

    /// Writes a file; the error is the shell's.
    pub(super) fn write(&mut self, path: &str, text: &str) -> Result<(), String> {
        if !path.starts_with("/etc/pve/") {
            return Ok(());
        }
        let node = self.node.clone();
        let written = self.world.pmxcfs_write(&node, path, text);
        written.map_err(|why| format!("sh: 1: cannot create {path}: {why}\n"))
    }
}

/// Does a program read a file, or what comes through the pipe?
fn last_is_file(args: &[&str]) -> bool {
    args.last().is_some_and(|arg| arg.starts_with('/'))
}

/// `key: value` lines, as in the file and from `qm config`.
pub(super) fn config_text(guest: &quorate_world::guest::Guest) -> String {
    let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    config::entries(guest).iter().map(|(key, value)| format!("{key}: {}\n", plain(value))).collect()
}
