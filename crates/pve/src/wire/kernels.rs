//! Kernels: `find /boot -maxdepth 1 -name 'vmlinuz-*'` and `proxmox-boot-tool kernel list`.

/// Pins as `proxmox-boot-tool kernel list` shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// Pinned for every boot.
    pub pinned: Option<String>,
    /// Pinned for the next boot.
    pub next_boot: Option<String>,
}

/// Release strings of the kernels in /boot, sorted by name.
pub fn parse_files(output: &str) -> Vec<String> {
    let mut releases: Vec<String> = output
        .lines()
        .filter_map(|line| line.trim().rsplit('/').next()?.strip_prefix("vmlinuz-"))
        .filter(|release| release.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    releases.sort();
    releases.dedup();
    releases
}

/// The pins. Missing sections mean that nothing is pinned.
pub fn parse_pins(output: &str) -> Pins {
    let mut pins = Pins::default();
    let mut section = "";
    for line in output.lines().map(str::trim_end) {
        if let Some(title) = line.strip_suffix(':') {
            section = title;
        } else if line.starts_with(|c: char| c.is_ascii_digit()) {
            match section {
                "Pinned kernel" => pins.pinned = Some(line.to_owned()),
                "Kernel pinned on next-boot" => pins.next_boot = Some(line.to_owned()),
                _ => {}
            }
        }
    }
    pins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_listed_in_their_own_sections() {
        let text = "Manually selected kernels:\nNone.\n\nAutomatically selected kernels:\n6.8.12-14-pve\n6.14.8-2-pve\n\n\
                    Pinned kernel:\n6.8.12-9-pve\n\nKernel pinned on next-boot:\n6.8.12-17-pve\n";
        let pins = parse_pins(text);
        assert_eq!(pins.pinned.as_deref(), Some("6.8.12-9-pve"));
        assert_eq!(pins.next_boot.as_deref(), Some("6.8.12-17-pve"));
        assert_eq!(parse_pins("E: /etc/kernel/proxmox-boot-uuids does not exist.\n"), Pins::default());
        assert_eq!(parse_files("/boot/vmlinuz-6.17.13-2-pve\n/boot/vmlinuz.old\n"), ["6.17.13-2-pve"]);
    }
}
