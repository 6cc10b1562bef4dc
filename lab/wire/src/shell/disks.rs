//! `zpool`, `multipathd` and `/proc/mdstat`: what a node's disks say of themselves.
//!
//! A node without a pool has the programs of ZFS all the same, as Proxmox VE installs them; those of multipath are there
//! only where they are used.

use std::fmt::Write as _;

use super::{Output, Shell};

impl Shell<'_> {
    pub(super) fn disks(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        match name {
            "zpool" => Some(self.zpool(args)),
            "multipathd" if self.here().surroundings.disks.paths.is_empty() => None,
            "multipathd" => Some(self.multipathd(args)),
            _ => None,
        }
    }

    fn zpool(&self, args: &[&str]) -> Output {
        match args {
            ["status", "-x"] => self.zpool_status(),
            ["list", "-H", "-o", "name,health"] => {
                let pools = self.pools();
                Output::ok(pools.iter().map(|(name, state)| format!("{name}\t{state}\n")).collect::<String>())
            }
            _ => Output::fail(2, format!("the lab does not know this form of zpool: {}\n", args.join(" "))),
        }
    }

    /// Every pool, with its state.
    fn pools(&self) -> Vec<(String, String)> {
        let around = &self.here().surroundings;
        let mut pools = around.disks.pools.clone();
        let local = |kind: &str| self.world.storages.values().any(|one| one.kind == kind && one.is_on(self.node));
        if around.root == "zfs" || local("zfspool") {
            pools.entry("rpool".to_owned()).or_insert_with(|| "ONLINE".to_owned());
        }
        pools.into_iter().collect()
    }

    fn zpool_status(&self) -> Output {
        let unwell = &self.here().surroundings.disks.pools;
        if unwell.is_empty() {
            let what = if self.pools().is_empty() { "no pools available\n" } else { "all pools are healthy\n" };
            return Output::ok(what);
        }
        let mut text = String::new();
        for (number, (pool, state)) in unwell.iter().enumerate() {
            let between = if number == 0 { "" } else { "\n" };
            let (status, action) = match state.as_str() {
                "ONLINE" => (
                    "One or more devices has experienced an unrecoverable error.  An\n\tattempt was made to correct the \
                     error.  Applications are unaffected.",
                    "Determine if the device needs to be replaced, and clear the errors\n\tusing 'zpool clear' or \
                     replace the device with 'zpool replace'.",
                ),
                _ => (
                    "One or more devices could not be used because the label is missing or\n\tinvalid.  Sufficient \
                     replicas exist for the pool to continue\n\tfunctioning in a degraded state.",
                    "Replace the device using 'zpool replace'.",
                ),
            };
            let _ = write!(
                text,
                "{between}  pool: {pool}\n state: {state}\nstatus: {status}\naction: {action}\n  scan: none requested\n\
                 config:\n\n\tNAME        STATE     READ WRITE CKSUM\n\t{pool:<11} {state:<9}    0     0     0\n\n\
                 errors: No known data errors\n"
            );
        }
        Output::ok(text)
    }

    /// One line for each path, without headings.
    fn multipathd(&self, args: &[&str]) -> Output {
        if args != ["show", "paths", "raw", "format", "%m %d %T"] {
            return Output::fail(1, format!("the lab does not know this form of multipathd: {}\n", args.join(" ")));
        }
        let paths = &self.here().surroundings.disks.paths;
        let line = |(device, said): (&String, &String)| {
            let (map, state) = said.split_once(' ').unwrap_or((said, "undef"));
            format!("{map} {device} {state}\n")
        };
        Output::ok(format!("[orphan] sda undef\n{}", paths.iter().map(line).collect::<String>()))
    }

    /// `/proc/mdstat`: there only where the kernel's RAID is in use.
    pub(super) fn mdstat(&self) -> Option<String> {
        let arrays = &self.here().surroundings.disks.arrays;
        if arrays.is_empty() {
            return None;
        }
        let mut text = String::from("Personalities : [raid1]\n");
        for (name, disks) in arrays {
            let works = disks.chars().filter(|disk| *disk == 'U').count();
            let _ = match disks.is_empty() {
                true => write!(text, "{name} : inactive sdx1[0](S)\n      976630464 blocks super 1.2\n       \n"),
                false => write!(
                    text,
                    "{name} : active raid1 sdy1[1] sdx1[0]\n      976630464 blocks super 1.2 [{}/{works}] [{disks}]\n      \
                     bitmap: 0/8 pages [0KB], 65536KB chunk\n\n",
                    disks.len()
                ),
            };
        }
        text.push_str("unused devices: <none>\n");
        Some(text)
    }
}
