//! Programs that change what lies below `/etc/pve/priv`.

use super::{Options, Output, Shell};

const BELOW: &str = "/etc/pve/priv/";

/// Programs of PVE that do nothing without `/etc/pve`.
const NEED_PMXCFS: &[&str] = &["ha-manager", "pct", "pvesh", "pvesm", "pveum", "qm"];

impl Shell<'_> {
    /// What a program says that needs pmxcfs while that does not run.
    pub(super) fn without_pmxcfs(&self, name: &str) -> Option<Output> {
        (NEED_PMXCFS.contains(&name) && self.world.pmxcfs_is_away(self.node)).then(|| {
            let lines = (1..=3).map(|number| format!("ipcc_send_rec[{number}] failed: Connection refused\n"));
            let stderr = lines.collect::<String>() + "Unable to load access control list: Connection refused\n";
            Output::fail(111, stderr)
        })
    }

    pub(super) fn pmxcfs(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        let options = Options::parse(args, &["-d", "--date"]);
        let path = options.rest.last().copied().filter(|path| path.starts_with(BELOW))?;
        let (node, forced) = (self.node, args.contains(&"-f"));
        let done = match name {
            "mkdir" => self.world.pmxcfs_mkdir(node, path),
            "mv" => match options.rest.as_slice() {
                [from, to] => self.world.pmxcfs_rename(node, from, to),
                _ => return None,
            },
            "rmdir" => self.world.pmxcfs_remove(node, path),
            "rm" => {
                self.world.pmxcfs_remove(node, path).or(if forced { Ok(()) } else { Err("No such file or directory") })
            }
            "touch" => {
                let to_zero = options.value(&["-d", "--date"]) == Some("@0");
                let touched = self.world.pmxcfs_touch(node, path, to_zero);
                if args.contains(&"-c") && touched == Err("No such file or directory") { Ok(()) } else { touched }
            }
            _ => return None,
        };
        let verb = match name {
            "mkdir" => "create directory",
            "touch" => "touch",
            "mv" => "move",
            _ => "remove",
        };
        Some(match done {
            Ok(()) => Output::default(),
            Err(why) => Output::fail(1, format!("{name}: cannot {verb} '{path}': {why}\n")),
        })
    }
}
