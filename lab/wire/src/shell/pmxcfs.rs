//! Programs that change what lies below `/etc/pve/priv`.

use super::{Options, Output, Shell};

const BELOW: &str = "/etc/pve/priv/";

impl Shell<'_> {
    pub(super) fn pmxcfs(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        let options = Options::parse(args, &["-d", "--date"]);
        let path = options.rest.last().copied().filter(|path| path.starts_with(BELOW))?;
        let (node, forced) = (self.node, args.contains(&"-f"));
        let done = match name {
            "mkdir" => self.world.pmxcfs_mkdir(node, path),
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
            _ => "remove",
        };
        Some(match done {
            Ok(()) => Output::default(),
            Err(why) => Output::fail(1, format!("{name}: cannot {verb} '{path}': {why}\n")),
        })
    }

    /// `sh -c 'printf %s "$1" > "$2"' sh TEXT PATH`: the one script that needs parameters and a file to write to.
    pub(super) fn write_script(&mut self, script: &str, parameters: &[&str]) -> Option<Output> {
        let ("printf %s \"$1\" > \"$2\"", [_, text, path]) = (script, parameters) else { return None };
        path.starts_with(BELOW).then(|| match self.world.pmxcfs_write(self.node, path, text) {
            Ok(()) => Output::default(),
            Err(why) => Output::fail(2, format!("sh: 1: cannot create {path}: {why}\n")),
        })
    }
}
