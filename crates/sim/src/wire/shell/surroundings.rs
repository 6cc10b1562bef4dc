//! What a Debian node tells of its clock and its network cards: `timedatectl`, `/etc/network/interfaces`.
//!
//! A node of the lab has one card, eno1, that every bridge hangs on, as its API says too, and chrony keeps its clock.

use std::fmt::Write as _;

use super::{Output, Shell};
use crate::wire::api::address;

impl Shell<'_> {
    pub(super) fn surroundings(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        (name == "timedatectl").then(|| self.timedatectl(args))
    }

    fn timedatectl(&self, args: &[&str]) -> Output {
        // Whoever lets a node's clock go wrong has stopped what keeps it.
        let kept = if self.here().clock_skew_ms.abs() < 1_000 { "yes" } else { "no" };
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
        let mut text = String::from("auto lo\niface lo inet loopback\n\niface eno1 inet manual\n");
        for (number, bridge) in node.bridges.iter().enumerate() {
            let _ = match number {
                0 => writeln!(text, "\nauto {bridge}\niface {bridge} inet static\n\taddress {}/24", address(node)),
                _ => writeln!(text, "\nauto {bridge}\niface {bridge} inet manual"),
            };
            text.push_str("\tbridge-ports eno1\n\tbridge-stp off\n\tbridge-fd 0\n");
        }
        text.push_str("\nsource /etc/network/interfaces.d/*\n");
        text
    }
}
