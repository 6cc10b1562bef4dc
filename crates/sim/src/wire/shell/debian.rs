//! Debian's own programs: apt, dpkg, the kernel's name, time, disks.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Follow, Options, Output, Shell};
use crate::wire::api::root_total;
use crate::wire::text::Moment;
use crate::world::packages::Pending;

impl Shell<'_> {
    pub(super) fn debian(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        Some(match name {
            "apt-get" | "apt" => self.apt(args),
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
            "exit" => Output::fail(args.first().and_then(|status| status.parse().ok()).unwrap_or(0), ""),
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

    fn apt(&mut self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-o", "-c", "-t"]);
        let simulate = options.has(&["-s", "--simulate", "--just-print", "--dry-run", "--recon", "--no-act"]);
        match options.rest.first() {
            Some(&"dist-upgrade" | &"full-upgrade" | &"upgrade") if simulate => Output::ok(self.simulation()),
            Some(&"dist-upgrade" | &"full-upgrade" | &"upgrade") => self.upgrade_in_foreground(args),
            Some(&"update") => self.apt_update(),
            Some(&"list") => self.apt_list(),
            Some(&"check") => {
                Output::ok("Reading package lists...\nBuilding dependency tree...\nReading state information...\n")
            }
            Some(other) => Output::fail(100, format!("E: Invalid operation {other}\n")),
            None => Output::fail(1, "apt 3.0.3 (amd64)\nUsage: apt-get [options] command\n"),
        }
    }

    /// Starts the upgrade and waits for it. A real one dies with its session; this one goes on.
    fn upgrade_in_foreground(&mut self, args: &[&str]) -> Output {
        if let Some(pid) = self.here().packages.locked_by {
            let stderr = format!(
                "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process {pid} (apt-get)\nE: Unable to \
                 acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n"
            );
            return Output::fail(100, stderr);
        }
        let argv: Vec<String> = std::iter::once("apt-get").chain(args.iter().copied()).map(str::to_owned).collect();
        self.world.counter += 1;
        let unit = quorate_core::ids::UnitName::new(format!("session-{}", self.world.counter));
        let node = self.node.clone();
        let log = format!("/run/{unit}.log");
        match self.world.systemd_run(&node, unit.clone(), Some(log), &argv) {
            Ok(()) => Output { follows: Some(Follow::Unit(unit)), ..Output::default() },
            Err(error) => Output::fail(100, format!("{error}\n")),
        }
    }

    fn plan_text(&self, pending: &[Pending]) -> String {
        let mut text = String::from(
            "Reading package lists...\nBuilding dependency tree...\nReading state information...\nCalculating upgrade...\n",
        );
        let (new, old): (Vec<_>, Vec<_>) = pending.iter().partition(|package| package.from.is_none());
        let names = |list: &[&Pending]| list.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(" ");
        if !new.is_empty() {
            let _ = writeln!(text, "The following NEW packages will be installed:\n  {}", names(&new));
        }
        if !old.is_empty() {
            let _ = writeln!(text, "The following packages will be upgraded:\n  {}", names(&old));
        }
        let (upgraded, installed) = (old.len(), new.len());
        let _ = writeln!(text, "{upgraded} upgraded, {installed} newly installed, 0 to remove and 0 not upgraded.");
        text
    }

    fn simulation(&self) -> String {
        let pending = self.world.pending(self.node);
        let mut text = self.plan_text(&pending);
        // The origin's label and suite, and the architecture: `Proxmox VE:stable [amd64]`.
        let source = |package: &Pending| {
            let arch = if package.name.ends_with("-signed") || !package.name.starts_with("proxmox-kernel") {
                "amd64"
            } else {
                "all"
            };
            format!("{} {} [{arch}]", package.to, package.origin)
        };
        for package in &pending {
            let from = package.from.as_ref().map(|from| format!("[{from}] ")).unwrap_or_default();
            let _ = writeln!(text, "Inst {} {from}({})", package.name, source(package));
        }
        for package in &pending {
            let _ = writeln!(text, "Conf {} ({})", package.name, source(package));
        }
        text
    }

    fn apt_update(&mut self) -> Output {
        let node = self.node.clone();
        match self.world.apt_update(&node, "root@pam") {
            Ok(_) => Output::ok("Reading package lists...\n").takes(Duration::from_secs(8)),
            Err(error) => Output::fail(100, format!("E: {error}\n")),
        }
    }

    fn apt_list(&self) -> Output {
        let mut text = String::from("Listing...\n");
        for package in self.world.pending(self.node) {
            let from = package.from.map(|from| format!(" [upgradable from: {from}]")).unwrap_or_default();
            let _ = writeln!(text, "{}/stable {} amd64{from}", package.name, package.to);
        }
        Output::ok(text)
    }

    fn dpkg(&self, args: &[&str]) -> Output {
        match args {
            ["--audit" | "-C", ..] => self.audit(),
            ["--print-architecture"] => Output::ok("amd64\n"),
            ["-l" | "--list", ..] => {
                let mut text = String::new();
                for (package, version) in &self.here().packages.installed {
                    let _ = writeln!(
                        text,
                        "{}  {package}  {version}  amd64  {package} of Proxmox VE",
                        self.abbreviation(package).trim()
                    );
                }
                Output::ok(text)
            }
            ["--configure", ..] => Output::default(),
            ["--compare-versions", a, operator, b] => {
                let order = quorate_core::version::Version::from(*a).cmp(&quorate_core::version::Version::from(*b));
                let holds = match *operator {
                    "lt" => order.is_lt(),
                    "le" => order.is_le(),
                    "eq" => order.is_eq(),
                    "ne" => order.is_ne(),
                    "ge" => order.is_ge(),
                    "gt" => order.is_gt(),
                    _ => return Output::fail(2, "dpkg: error: --compare-versions bad relation\n"),
                };
                Output { status: i32::from(!holds), ..Output::default() }
            }
            _ => Output::fail(2, "dpkg: error: need an action option\n"),
        }
    }

    /// Silent when all is well.
    fn audit(&self) -> Output {
        let broken = &self.here().packages.broken;
        if broken.is_empty() {
            return Output::default();
        }
        let mut text = String::from(
            "The following packages are only half configured, probably due to problems\nconfiguring them the first time.  \
             The configuration should be retried using\ndpkg --configure <package> or the configure menu option in dselect:\n",
        );
        for package in broken {
            let _ = writeln!(text, " {package:<20} {package} of Proxmox VE");
        }
        text.push('\n');
        Output { status: 1, stdout: text, ..Output::default() }
    }

    fn abbreviation(&self, package: &str) -> &'static str {
        if self.here().packages.broken.iter().any(|broken| broken == package) { "iF " } else { "ii " }
    }

    fn dpkg_query(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-f", "--showformat"]);
        if !options.has(&["-W", "--show", "-l", "--list"]) {
            return Output::fail(2, "dpkg-query: error: need an action option\n");
        }
        let format = options.value(&["-f", "--showformat"]).unwrap_or("${Package}\t${Version}\n").replace("\\n", "\n");
        let installed = &self.here().packages.installed;
        let mut output = Output::default();
        for pattern in &options.rest {
            if !installed.keys().any(|package| glob(pattern, package)) {
                output.status = 1;
                let _ = writeln!(output.stderr, "dpkg-query: no packages found matching {pattern}");
            }
        }
        for (package, version) in installed {
            if !options.rest.is_empty() && !options.rest.iter().any(|pattern| glob(pattern, package)) {
                continue;
            }
            let status =
                if self.abbreviation(package) == "ii " { "install ok installed" } else { "install ok half-configured" };
            let line = format
                .replace("\\t", "\t")
                .replace("${Package}", package)
                .replace("${binary:Package}", package)
                .replace("${Version}", version.as_str())
                .replace("${db:Status-Abbrev}", self.abbreviation(package))
                .replace("${Status}", status)
                .replace("${Architecture}", "amd64");
            output.stdout.push_str(&line);
        }
        output
    }

    /// The file's name on standard error, the process on standard output; 1 if nobody has it open.
    fn fuser(&self, args: &[&str]) -> Output {
        let file = args.iter().find(|arg| arg.starts_with('/')).copied().unwrap_or_default();
        match self.here().packages.locked_by.filter(|_| file.starts_with("/var/lib/dpkg/lock")) {
            Some(pid) => Output { stdout: format!(" {pid}"), stderr: format!("{file}:     \n"), ..Output::default() },
            None => Output { status: 1, ..Output::default() },
        }
    }

    fn boot_tool(&self, args: &[&str]) -> Output {
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
            ["status", ..] => Output::fail(1, "E: /etc/kernel/proxmox-boot-uuids does not exist.\n"),
            _ => Output::fail(1, "USAGE: /usr/sbin/proxmox-boot-tool <commands> [ARGS]\n"),
        }
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
            let (source, target, total, free) = match path.starts_with("/boot") {
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
        let cells: Vec<_> = (0..columns).map(|at| format!("{:>width$}", row[at], width = width(at))).collect();
        text.push_str(cells.join(" ").trim_end());
        text.push('\n');
    }
    text
}

/// A pattern with `*` and `?`, as the shell and dpkg have it.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            glob(&pattern[1..], text) || text.chars().next().is_some_and(|c| glob(pattern, &text[c.len_utf8()..]))
        }
        (Some('?'), Some(c)) => glob(&pattern[1..], &text[c.len_utf8()..]),
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
