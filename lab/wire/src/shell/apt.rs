//! apt-get, apt-cache, dpkg: installed packages, available ones, and upgrades.

use std::fmt::Write as _;
use std::time::Duration;

use quorate_world::packages::Pending;

use super::debian::glob;
use super::{Follow, Options, Output, Shell};

impl Shell<'_> {
    pub(super) fn apt(&mut self, args: &[&str]) -> Output {
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

    /// Starts the upgrade and waits for it. A real one dies with its session; this one continues.
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

    /// `apt-mark hold PACKAGE…`, `unhold`, `showhold`.
    pub(super) fn apt_mark(&mut self, args: &[&str]) -> Output {
        let Some((verb, packages)) = args.split_first() else { return Output::fail(1, "apt 3.0.3 (amd64)\n") };
        let node = self.node.clone();
        let Some(here) = self.world.nodes.get_mut(&node).map(|node| &mut node.packages) else {
            return Output::default();
        };
        let mut text = String::new();
        for package in packages {
            if !here.installed.contains_key(*package) {
                return Output::fail(100, format!("E: Unable to locate package {package}\nE: No packages found\n"));
            }
            let _ = match *verb {
                "hold" if here.held.insert((*package).to_owned()) => writeln!(text, "{package} set on hold."),
                "hold" => writeln!(text, "{package} was already set on hold."),
                "unhold" if here.held.remove(*package) => writeln!(text, "Canceled hold on {package}."),
                "unhold" => writeln!(text, "{package} was already not on hold."),
                _ => return Output::fail(100, format!("E: Invalid operation {verb}\n")),
            };
        }
        if *verb == "showhold" {
            text = here.held.iter().map(|package| format!("{package}\n")).collect();
        }
        Output::ok(text)
    }

    fn plan_text(&self, pending: &[Pending]) -> String {
        let mut text = String::from(
            "Reading package lists...\nBuilding dependency tree...\nReading state information...\nCalculating upgrade...\n",
        );
        let (new, old): (Vec<_>, Vec<_>) = pending.iter().partition(|package| package.from.is_none());
        let names = |list: &[&Pending]| list.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(" ");
        let kept_back = self.world.kept_back(self.node);
        if !kept_back.is_empty() {
            let _ = writeln!(text, "The following packages have been kept back:\n  {}", kept_back.join(" "));
        }
        if !new.is_empty() {
            let _ = writeln!(text, "The following NEW packages will be installed:\n  {}", names(&new));
        }
        if !old.is_empty() {
            let _ = writeln!(text, "The following packages will be upgraded:\n  {}", names(&old));
        }
        let removed = &self.here().packages.removals;
        if !removed.is_empty() {
            let names: Vec<&str> = removed.iter().map(String::as_str).collect();
            let _ = writeln!(text, "The following packages will be REMOVED:\n  {}", names.join(" "));
        }
        let (upgraded, installed, left) = (old.len(), new.len(), kept_back.len());
        let gone = removed.len();
        let _ = writeln!(
            text,
            "{upgraded} upgraded, {installed} newly installed, {gone} to remove and {left} not upgraded."
        );
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
        for name in &self.here().packages.removals {
            let version = self.here().installed(name).map_or("0", |version| version.as_str());
            let _ = writeln!(text, "Remv {name} [{version}]");
        }
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

    pub(super) fn dpkg(&mut self, args: &[&str]) -> Output {
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
            [.., "--configure", "-a" | "--pending"] | ["--configure", ..] => {
                let node = self.node.clone();
                match self.world.dpkg_configure(&node) {
                    true => Output::default(),
                    false => Output::fail(2, "dpkg: error: dpkg frontend lock was locked by another process\n"),
                }
            }
            ["-s" | "--status", package] => self.package_status(package),
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

    fn package_status(&self, package: &str) -> Output {
        let Some(version) = self.here().installed(package) else {
            let text = format!("dpkg-query: package '{package}' is not installed and no information is available\n");
            return Output::fail(1, text);
        };
        let broken = self.abbreviation(package).contains('F');
        let state = if broken { "half-configured" } else { "installed" };
        Output::ok(format!(
            "Package: {package}\nStatus: install ok {state}\nPriority: optional\nSection: admin\nArchitecture: amd64\n\
             Version: {version}\n"
        ))
    }

    /// `apt-cache policy`: what is installed, and what the node's lists offer.
    pub(super) fn apt_cache(&self, args: &[&str]) -> Output {
        let Some((&"policy", packages)) = args.split_first() else {
            return Output::fail(100, format!("E: Invalid operation {}\n", args.first().unwrap_or(&"")));
        };
        let pending = self.world.pending(self.node);
        let mut text = String::new();
        for package in packages {
            let installed = self.here().installed(package).map(|version| version.as_str().to_owned());
            let newer = pending.iter().find(|known| known.name == *package).map(|known| known.to.as_str().to_owned());
            let Some(candidate) = newer.clone().or_else(|| installed.clone()) else { continue };
            let shown = installed.clone().unwrap_or_else(|| "(none)".to_owned());
            let _ = write!(text, "{package}:\n  Installed: {shown}\n  Candidate: {candidate}\n  Version table:\n");
            let source = "500 http://download.proxmox.com/debian/pve stable/pve-no-subscription amd64 Packages";
            if let Some(newer) = &newer {
                let _ = write!(text, "     {newer} 500\n        {source}\n");
            }
            if let Some(installed) = &installed {
                let _ = write!(text, " *** {installed} 500\n        100 /var/lib/dpkg/status\n");
            }
        }
        Output::ok(text)
    }

    /// Prints nothing when all is well.
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
        let packages = &self.here().packages;
        match (packages.held.contains(package), packages.broken.iter().any(|broken| broken == package)) {
            (false, false) => "ii ",
            (false, true) => "iF ",
            (true, false) => "hi ",
            (true, true) => "hF ",
        }
    }

    pub(super) fn dpkg_query(&self, args: &[&str]) -> Output {
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
            let status = match self.abbreviation(package) {
                "ii " => "install ok installed",
                "hi " => "hold ok installed",
                _ => "install ok half-configured",
            };
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
}
