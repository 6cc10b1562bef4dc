//! What a Debian node reports about its clock, disks and network cards: `timedatectl`, `lsblk`, `findmnt`, `dkms`,
//! `proxmox-boot-tool status`, `/etc/network/interfaces`.
//!
//! A node of the lab has one card, eno1, that every bridge uses, as its API reports too, and chrony keeps its clock.

use std::fmt::Write as _;

use super::{Output, Shell};
use crate::api::address;

impl Shell<'_> {
    pub(super) fn surroundings(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        let around = &self.here().surroundings;
        Some(match name {
            "timedatectl" => self.timedatectl(args),
            "findmnt" if args.contains(&"SOURCE") && around.root == "zfs" => Output::ok("rpool/ROOT/pve-1\n"),
            "findmnt" if args.contains(&"SOURCE") => Output::ok("/dev/mapper/pve-root\n"),
            "findmnt" => Output::ok(format!("{}\n", around.root)),
            "lsblk" => self.lsblk(),
            "dkms" if around.dkms.is_empty() => return None,
            "dkms" => Output::ok(around.dkms.iter().map(|line| format!("{line}\n")).collect::<String>()),
            _ => return None,
        })
    }

    /// Raw, without headings, with id and size of each file system.
    fn lsblk(&self) -> Output {
        let present = self
            .here()
            .surroundings
            .boot_partitions
            .iter()
            .filter(|partition| partition.present && partition.size_bytes > 0);
        let rows = present.map(|partition| format!("{} {}\n", partition.uuid, partition.size_bytes));
        Output::ok(std::iter::once(" 512110190592\n".to_owned()).chain(rows).collect::<String>())
    }

    /// `proxmox-boot-tool status`: an error where it keeps nothing.
    pub(super) fn boot_status(&self) -> Output {
        let node = self.here();
        let partitions = &node.surroundings.boot_partitions;
        if partitions.is_empty() {
            return Output::fail(1, "E: /etc/kernel/proxmox-boot-uuids does not exist.\n");
        }
        let mut text = String::from(
            "Re-executing '/usr/sbin/proxmox-boot-tool' in new private mount namespace..\nSystem currently booted with uefi\n",
        );
        for partition in partitions {
            let uuid = &partition.uuid;
            let installed = || node.kernel.installed.iter().map(ToString::to_string).collect::<Vec<_>>();
            let kernels = partition.kernels.clone().unwrap_or_else(installed).join(", ");
            let _ = match partition.present {
                true => writeln!(text, "{uuid} is configured with: {} (versions: {kernels})", partition.loader),
                false => writeln!(
                    text,
                    "WARN: /dev/disk/by-uuid/{uuid} does not exist - clean '/etc/kernel/proxmox-boot-uuids'! - skipping"
                ),
            };
        }
        for line in &node.surroundings.boot_complaints {
            let _ = writeln!(text, "{line}");
        }
        Output::ok(text)
    }

    fn timedatectl(&self, args: &[&str]) -> Output {
        // A fault that sets the clock wrong has also stopped the service that keeps it.
        let here = self.here();
        let kept = here.surroundings.time_kept.unwrap_or(here.clock_skew_ms.abs() < 1_000);
        let kept = if kept { "yes" } else { "no" };
        let value_only = args.contains(&"--value");
        let asked = args.windows(2).find(|pair| pair[0] == "-p" || pair[0] == "--property").map(|pair| pair[1]);
        match (args.first(), asked) {
            (Some(&"show"), Some("NTPSynchronized")) if value_only => Output::ok(format!("{kept}\n")),
            (Some(&"show"), Some("NTPSynchronized")) => Output::ok(format!("NTPSynchronized={kept}\n")),
            (Some(&"show"), None) => {
                Output::ok(format!("Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized={kept}\n"))
            }
            (None | Some(&"status"), _) => Output::ok(format!(
                "                Time zone: Etc/UTC (UTC, +0000)\nSystem clock synchronized: {kept}\n              NTP \
                 service: active\n          RTC in local TZ: no\n"
            )),
            _ => Output::fail(1, format!("Unknown command verb '{}'.\n", args.first().unwrap_or(&""))),
        }
    }

    /// `/etc/network/interfaces`.
    pub(super) fn interfaces_file(&self) -> String {
        let node = self.here();
        let mut text = String::from("auto lo\niface lo inet loopback\n");
        for nic in &node.surroundings.nics {
            let _ = writeln!(text, "\niface {nic} inet manual");
        }
        let first = node.surroundings.nics.first().map_or("none", String::as_str);
        for (number, bridge) in node.bridges.iter().enumerate() {
            let _ = match number {
                0 => writeln!(text, "\nauto {bridge}\niface {bridge} inet static\n\taddress {}/24", address(node)),
                _ => writeln!(text, "\nauto {bridge}\niface {bridge} inet manual"),
            };
            let _ = writeln!(text, "\tbridge-ports {first}\n\tbridge-stp off\n\tbridge-fd 0");
        }
        text.push_str("\nsource /etc/network/interfaces.d/*\n");
        text
    }
}
