//! Debian's own programs: the kernel's name, the boot loader, time, disks. Packages are in `apt`.

use std::fmt::Write as _;

use super::filters::in_class;
use super::{Options, Output, Shell};
use crate::api::root_total;
use crate::text::Moment;

impl Shell<'_> {
    pub(super) fn debian(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        Some(match name {
            "apt-get" | "apt" => self.apt(args),
            "apt-cache" => self.apt_cache(args),
            "apt-mark" => self.apt_mark(args),
            "dpkg" => self.dpkg(args),
            "dpkg-query" => self.dpkg_query(args),
            "fuser" => self.fuser(args),
            "proxmox-boot-tool" => self.boot_tool(args),
            "uname" => self.uname(args),
            "hostname" => Output::ok(format!("{}\n", self.node)),
            "uptime" => Output::ok(format!(" up {} s\n", self.here().uptime_s(self.world.now_ms))),
            "date" => self.date(args),
            "df" => self.df(args),
            "whoami" => Output::ok("root\n"),
            "id" => Output::ok("uid=0(root) gid=0(root) groups=0(root)\n"),
            "true" | ":" => Output::default(),
            "false" => Output::fail(1, ""),
            "sleep" => self.sleep(args),
            "echo" => Output::ok(format!("{}\n", args.join(" "))),
            "printf" => printf(args),
            "sync" | "logger" => Output::default(),
            _ => return None,
        })
    }

    fn sleep(&self, args: &[&str]) -> Output {
        match args.first().and_then(|text| super::duration(text)) {
            Some(time) => Output::default().takes(time),
            None => Output::fail(1, "sleep: missing operand\n"),
        }
    }

    /// The file's name on standard error, the process on standard output; 1 if no process has it open.
    fn fuser(&self, args: &[&str]) -> Output {
        let file = args.iter().find(|arg| arg.starts_with('/')).copied().unwrap_or_default();
        match self.here().packages.locked_by.filter(|_| file.starts_with("/var/lib/dpkg/lock")) {
            Some(pid) => Output { stdout: format!(" {pid}"), stderr: format!("{file}:     \n"), ..Output::default() },
            None => Output { status: 1, ..Output::default() },
        }
    }

    fn boot_tool(&mut self, args: &[&str]) -> Output {
        if let ["kernel", verb @ ("pin" | "unpin"), rest @ ..] = args {
            return self.pin(verb, rest);
        }
        let kernel = &self.here().kernel;
        match args {
            ["kernel", "list", ..] => {
                let mut text = String::from("Manually selected kernels:\nNone.\n\nAutomatically selected kernels:\n");
                let mut installed: Vec<_> = kernel.installed.iter().collect();
                installed.sort();
                for version in installed {
                    let _ = writeln!(text, "{version}");
                }
                if let Some(pinned) = &kernel.pinned {
                    let _ = write!(text, "\nPinned kernel:\n{pinned}\n");
                }
                if let Some(next) = &kernel.next_boot {
                    let _ = write!(text, "\nKernel pinned on next-boot:\n{next}\n");
                }
                Output::ok(text)
            }
            ["status", ..] => self.boot_status(),
            _ => Output::fail(1, "USAGE: /usr/sbin/proxmox-boot-tool <commands> [ARGS]\n"),
        }
    }

    fn pin(&mut self, verb: &str, args: &[&str]) -> Output {
        let once = args.contains(&"--next-boot");
        let version = args.iter().find(|arg| !arg.starts_with('-')).copied();
        let node = self.node.clone();
        let Some(kernel) = self.world.nodes.get_mut(&node).map(|node| &mut node.kernel) else {
            return Output::default();
        };
        let pinned = match (verb, version) {
            ("unpin", _) => None,
            (_, Some(version)) if kernel.installed.iter().any(|known| known.as_str() == version) => {
                Some(version.into())
            }
            (_, Some(version)) => {
                return Output::fail(
                    1,
                    format!("E: no kernel image for '{version}' found in /boot, not setting default.\n"),
                );
            }
            (_, None) => {
                return Output::fail(
                    1,
                    "E: USAGE: /usr/sbin/proxmox-boot-tool kernel pin <kernel-version> [--next-boot]\n",
                );
            }
        };
        let set = pinned.as_ref().map(|version: &quorate_core::version::Version| {
            format!(
                "Set kernel '{version}' {}\n",
                if once { "for next boot" } else { "in /etc/kernel/proxmox-boot-pin." }
            )
        });
        match once {
            true => kernel.next_boot = pinned,
            false => kernel.pinned = pinned,
        }
        Output::ok(
            set.unwrap_or_else(|| "Removed /etc/kernel/proxmox-boot-pin.\n".to_owned())
                + "Refresh the actual boot ESPs now? [yN]\n",
        )
    }

    fn uname(&self, args: &[&str]) -> Output {
        let release = &self.here().kernel.running;
        let all = args.iter().any(|arg| arg.contains('a'));
        Output::ok(match args.first() {
            Some(_) if all => format!("Linux {} {release} #1 SMP PREEMPT_DYNAMIC PMX x86_64 GNU/Linux\n", self.node),
            Some(arg) if arg.contains('r') => format!("{release}\n"),
            Some(arg) if arg.contains('n') => format!("{}\n", self.node),
            Some(arg) if arg.contains('m') => "x86_64\n".to_owned(),
            Some(arg) if arg.contains('v') => "#1 SMP PREEMPT_DYNAMIC PMX\n".to_owned(),
            _ => "Linux\n".to_owned(),
        })
    }

    fn date(&self, args: &[&str]) -> Output {
        let now_ms = self.clock_ms();
        let moment = Moment::at(now_ms / 1000);
        let Some(format) = args.iter().find_map(|arg| arg.strip_prefix('+')) else {
            let text = moment.ctime();
            let (front, year) = text.rsplit_once(' ').unwrap_or((&text, ""));
            return Output::ok(format!("{front} UTC {year}\n"));
        };
        let text = format
            .replace("%3N", &format!("{:03}", now_ms % 1000))
            .replace("%N", &format!("{:09}", now_ms % 1000 * 1_000_000))
            .replace("%s", &(now_ms / 1000).to_string())
            .replace("%F %T", &moment.log());
        Output::ok(format!("{text}\n"))
    }

    fn df(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-B", "--block-size", "-t", "-x"]);
        let block: u64 = match options.value(&["-B", "--block-size"]) {
            Some(size) => size.parse().unwrap_or(1 << 10),
            None => 1 << 10,
        };
        let paths = if options.rest.is_empty() { vec!["/"] } else { options.rest.clone() };
        let columns = options.value(&["--output"]).unwrap_or("source,size,used,avail,pcent,target");
        let mut rows = vec![columns.split(',').map(|column| heading(column, block)).collect::<Vec<_>>()];
        for path in paths {
            let node = self.here();
            let efi = &node.surroundings;
            let (source, target, total, free) = match path.starts_with("/boot") {
                true if path == "/boot/efi" && efi.boot_partitions.is_empty() && efi.efi_free_bytes.is_some() => {
                    let free = efi.efi_free_bytes.unwrap_or_default();
                    ("/dev/sda2", "/boot/efi", free.max(1 << 30), free)
                }
                true => ("/dev/sda2", "/boot", node.boot_free_bytes.saturating_add(512 << 20), node.boot_free_bytes),
                false => ("/dev/mapper/pve-root", "/", root_total(node), node.root_free_bytes),
            };
            let cell = |column: &str| match column {
                "source" => source.to_owned(),
                "size" => (total / block).to_string(),
                "used" => ((total - free) / block).to_string(),
                "avail" => (free / block).to_string(),
                "pcent" => format!("{}%", (total - free) * 100 / total.max(1)),
                "target" => target.to_owned(),
                _ => "-".to_owned(),
            };
            rows.push(columns.split(',').map(cell).collect());
        }
        Output::ok(right_aligned(&rows))
    }
}

/// Each `%s` takes the next argument.
fn printf(args: &[&str]) -> Output {
    let Some((format, values)) = args.split_first() else {
        return Output::fail(2, "printf: usage: printf [-v var] format [arguments]\n");
    };
    let mut values = values.iter();
    let mut parts = format.split("%s");
    let mut text = parts.next().unwrap_or_default().replace("\\n", "\n");
    for part in parts {
        text.push_str(values.next().copied().unwrap_or_default());
        text.push_str(&part.replace("\\n", "\n"));
    }
    Output::ok(text)
}

fn heading(column: &str, block: u64) -> String {
    match column {
        "source" => "Filesystem".to_owned(),
        "size" if block == 1 => "1B-blocks".to_owned(),
        "size" => format!("{}K-blocks", block >> 10),
        "used" => "Used".to_owned(),
        "avail" => "Avail".to_owned(),
        "pcent" => "Use%".to_owned(),
        "target" => "Mounted on".to_owned(),
        other => other.to_owned(),
    }
}

fn right_aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let padded = |at: usize| " ".repeat(width(at).saturating_sub(row[at].chars().count())) + &row[at];
        let cells: Vec<_> = (0..columns).map(padded).collect();
        text.push_str(cells.join(" ").trim_end());
        text.push('\n');
    }
    text
}

/// Matches a pattern with `*`, `?` and `[…]`, like the shell and dpkg.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            glob(&pattern[1..], text) || text.chars().next().is_some_and(|c| glob(pattern, &text[c.len_utf8()..]))
        }
        (Some('?'), Some(c)) => glob(&pattern[1..], &text[c.len_utf8()..]),
        (Some('['), Some(c)) if pattern.contains(']') => {
            let (class, rest) = pattern[1..].split_once(']').expect("it has the bracket");
            in_class(&class.chars().collect::<Vec<_>>(), c) && glob(rest, &text[c.len_utf8()..])
        }
        (Some(p), Some(c)) if p == c => glob(&pattern[p.len_utf8()..], &text[c.len_utf8()..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_shell() {
        assert!(glob("vmlinuz-*", "vmlinuz-6.17.2-1-pve"));
        assert!(glob("quorate-upgrade*", "quorate-upgrade-ab12-2.service"));
        assert!(!glob("pve-?anager", "pve-managers"));
    }
}
