//! Debian's files that tools read: the release, the package sources, the booted kernel and its command line.

use super::Shell;
use crate::api::host;
use crate::release;

impl Shell<'_> {
    /// Files of the system that a tool reads.
    pub(super) fn system_file(&self, path: &str) -> Option<String> {
        let node = self.here();
        let nine = release(node) >= (9, 0);
        Some(match path {
            "/etc/debian_version" if nine => "13.2\n".to_owned(),
            "/etc/debian_version" => "12.12\n".to_owned(),
            "/etc/os-release" | "/usr/lib/os-release" => {
                let (number, name) = if nine { ("13", "trixie") } else { ("12", "bookworm") };
                format!(
                    "PRETTY_NAME=\"Debian GNU/Linux {number} ({name})\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"{number}\"\n\
                     VERSION=\"{number} ({name})\"\nVERSION_CODENAME={name}\nID=debian\n\
                     HOME_URL=\"https://www.debian.org/\"\nSUPPORT_URL=\"https://www.debian.org/support\"\n\
                     BUG_REPORT_URL=\"https://bugs.debian.org/\"\n"
                )
            }
            "/etc/hosts" => host::hosts_file(node),
            "/proc/cmdline" => {
                format!("BOOT_IMAGE=/boot/vmlinuz-{} root=/dev/mapper/pve-root ro quiet\n", node.kernel.running)
            }
            "/proc/version" => format!(
                "Linux version {} (build@proxmox) (gcc (Debian 14.2.0-19) 14.2.0) #1 SMP PREEMPT_DYNAMIC PMX\n",
                node.kernel.running
            ),
            "/proc/mdstat" => self.mdstat()?,
            "/proc/loadavg" => "0.42 0.38 0.35 1/500 1400\n".to_owned(),
            "/proc/meminfo" => {
                let used = node.memory_bytes - self.world.node_free_bytes(self.node).min(node.memory_bytes);
                let (total, free) = (node.memory_bytes >> 10, (node.memory_bytes - used) >> 10);
                format!("MemTotal: {total:>15} kB\nMemFree: {free:>16} kB\nMemAvailable: {free:>11} kB\n")
            }
            "/etc/kernel/proxmox-boot-pin" => format!("{}\n", node.kernel.pinned.as_ref()?),
            "/etc/kernel/next-boot-pin" => format!("{}\n", node.kernel.next_boot.as_ref()?),
            "/etc/apt/sources.list" if !nine => self.sources(path).unwrap_or_default(),
            path if path.starts_with("/etc/apt/") => self.sources(path)?,
            _ => return None,
        })
    }

    /// A file of APT's sources: one line each, or stanzas.
    fn sources(&self, path: &str) -> Option<String> {
        let here = || self.here().repositories.iter().filter(|repository| repository.path == path);
        here().next()?;
        let lines = here().map(|repository| {
            let (uri, suite, component) = (&repository.uri, &repository.suite, &repository.component);
            match (path.ends_with(".sources"), repository.enabled) {
                (false, on) => format!("{}deb {uri} {suite} {component}\n", if on { "" } else { "# " }),
                (true, on) => {
                    let switch = if on { "" } else { "Enabled: no\n" };
                    format!("{switch}Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {component}\n")
                }
            }
        });
        let between = if path.ends_with(".sources") { "\n" } else { "" };
        Some(lines.collect::<Vec<_>>().join(between))
    }
}
