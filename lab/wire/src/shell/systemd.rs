//! systemctl, systemd-run and journalctl.

use std::fmt::Write as _;

use quorate_core::ids::{GuestId, GuestKind, UnitName};
use quorate_world::migration::{Mode, Phase};
use quorate_world::node::{AfterDown, Power, Unit, UnitState};
use quorate_world::services::ServiceAction;

use super::debian::glob;
use super::{Options, Output, Shell};
use crate::text::Moment;

/// Properties of one unit, as `systemctl show` prints them.
type Properties = Vec<(&'static str, String)>;

impl Shell<'_> {
    pub(super) fn systemd(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        Some(match name {
            "systemctl" => self.systemctl(args),
            "systemd-run" => self.systemd_run(args),
            "journalctl" => self.journalctl(args),
            "reboot" => self.power(AfterDown::Reboot),
            "poweroff" | "halt" => self.power(AfterDown::Off),
            "shutdown" => self.shutdown(args),
            _ => return None,
        })
    }

    fn systemctl(&mut self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-p", "--property", "-t", "--type", "-n", "-o"]);
        let Some((verb, units)) = options.rest.split_first() else { return self.list_units(&options) };
        match *verb {
            "show" => self.show(units, &options),
            "list-units" => self.list_units(&options),
            "is-active" => self.word_of_state(units, "active", |properties| property(properties, "ActiveState")),
            "is-failed" => self.word_of_state(units, "failed", |properties| property(properties, "ActiveState")),
            "is-system-running" => self.is_system_running(),
            "status" => self.status(units),
            "start" => self.act(units, ServiceAction::Start),
            "stop" => self.act(units, ServiceAction::Stop),
            "restart" | "try-restart" => self.act(units, ServiceAction::Restart),
            "enable" => self.enable(units, true, options.has(&["--now"])),
            "disable" => self.enable(units, false, options.has(&["--now"])),
            "reload" | "reload-or-restart" => self.act(units, ServiceAction::Reload),
            "reboot" => self.power(AfterDown::Reboot),
            "poweroff" => self.power(AfterDown::Off),
            "reset-failed" => self.forget(units),
            "daemon-reload" => Output::default(),
            other => Output::fail(1, format!("Unknown command verb '{other}'.\n")),
        }
    }

    /// Whether services start at boot; with `--now` they start or stop at once.
    fn enable(&mut self, units: &[&str], on: bool, now: bool) -> Output {
        let node = self.node.clone();
        for name in units.iter().map(|unit| unit.trim_end_matches(".service")) {
            let service = self.world.nodes.get_mut(&node).and_then(|here| here.services.get_mut(name));
            let Some(service) = service else {
                return Output::fail(1, format!("Failed to enable unit: Unit file {name}.service does not exist.\n"));
            };
            service.unit_state = if on { "enabled" } else { "disabled" }.to_owned();
        }
        match now {
            true => self.act(units, if on { ServiceAction::Start } else { ServiceAction::Stop }),
            false => Output::default(),
        }
    }

    fn act(&mut self, units: &[&str], action: ServiceAction) -> Output {
        let node = self.node.clone();
        for unit in units {
            let name = unit.trim_end_matches(".service");
            match (action, name) {
                (ServiceAction::Start, "corosync") => self.world.corosync_start(&node),
                (ServiceAction::Stop, "corosync") => self.world.corosync_stop(&node),
                (ServiceAction::Stop, _) if self.unit(name).is_some() => drop(self.forget(&[name])),
                _ => {
                    if !self.here().services.contains_key(name) {
                        let verb = if action == ServiceAction::Start { "start" } else { "restart" };
                        let stderr = format!("Failed to {verb} {name}.service: Unit {name}.service not found.\n");
                        return Output::fail(5, stderr);
                    }
                    if let Err(error) = self.world.service(&node, name, action, "root@pam") {
                        return Output::fail(1, format!("{error}\n"));
                    }
                }
            }
        }
        Output::default()
    }

    fn unit(&self, name: &str) -> Option<&Unit> {
        self.here().units.get(&UnitName::new(name.trim_end_matches(".service")))
    }

    /// A transient unit that has ended goes away when it is stopped or reset.
    fn forget(&mut self, units: &[&str]) -> Output {
        let node = self.node.clone();
        let Some(here) = self.world.nodes.get_mut(&node) else { return Output::default() };
        here.units.retain(|name, unit| {
            let meant = units.is_empty()
                || units.iter().any(|pattern| glob(pattern.trim_end_matches(".service"), name.as_str()));
            !meant || unit.state == UnitState::Running
        });
        Output::default()
    }

    /// Units whose name fits, loaded ones only; a name without a pattern is shown even if there is no such unit.
    fn matching(&self, pattern: &str) -> Vec<Properties> {
        let bare = pattern.trim_end_matches(".service");
        let node = self.here();
        let transient =
            node.units.iter().filter(|(name, _)| glob(bare, name.as_str())).map(|(_, unit)| self.of_unit(unit));
        let services = node.services.keys().filter(|name| glob(bare, name)).map(|name| self.of_service(name));
        let mut found: Vec<_> = transient.chain(services).collect();
        if found.is_empty() && !pattern.contains(['*', '?']) {
            found.push(self.of_service(bare));
        }
        found
    }

    fn of_unit(&self, unit: &Unit) -> Properties {
        let (active, sub, result, code, status) = match unit.state {
            UnitState::Running => ("active", "running", "success", 0, 0),
            UnitState::Exited(0) => ("active", "exited", "success", 1, 0),
            UnitState::Exited(status) => ("failed", "failed", "exit-code", 1, status),
        };
        let pid = if unit.state == UnitState::Running { unit.pid } else { 0 };
        vec![
            ("Result", result.to_owned()),
            ("MainPID", pid.to_string()),
            ("ExecMainStartTimestamp", format!("{} UTC", Moment::at(unit.started_ms / 1000).log())),
            ("ExecMainPID", unit.pid.to_string()),
            ("ExecMainCode", code.to_string()),
            ("ExecMainStatus", status.to_string()),
            ("Id", format!("{}.service", unit.name)),
            ("Description", format!("/usr/bin/{} dist-upgrade", "apt-get")),
            ("LoadState", "loaded".to_owned()),
            ("ActiveState", active.to_owned()),
            ("SubState", sub.to_owned()),
            ("UnitFileState", "transient".to_owned()),
        ]
    }

    fn of_service(&self, name: &str) -> Properties {
        let service = self.here().services.get(name);
        let word = |value: Option<&String>, otherwise: &str| value.map_or_else(|| otherwise.to_owned(), Clone::clone);
        let found = service.is_some_and(|service| service.unit_state != "not-found");
        let failed = service.is_some_and(|service| service.active_state == "failed");
        vec![
            ("Result", if failed { "exit-code" } else { "success" }.to_owned()),
            ("MainPID", "0".to_owned()),
            ("ExecMainPID", "0".to_owned()),
            ("ExecMainCode", if failed { "1" } else { "0" }.to_owned()),
            ("ExecMainStatus", if failed { "1" } else { "0" }.to_owned()),
            ("Id", unit_id(name)),
            ("Description", word(service.map(|service| &service.description), &format!("{name}.service"))),
            ("LoadState", if found { "loaded" } else { "not-found" }.to_owned()),
            ("ActiveState", word(service.map(|service| &service.active_state), "inactive")),
            ("SubState", word(service.map(|service| &service.sub_state), "dead")),
            ("UnitFileState", word(service.map(|service| &service.unit_state), "")),
        ]
    }

    /// Blocks of `Key=value`, with an empty line between two units. The order is systemd's, not the caller's.
    fn show(&self, patterns: &[&str], options: &Options<'_>) -> Output {
        let wanted: Vec<&str> =
            options.values(&["-p", "--property"]).iter().flat_map(|names| names.split(',')).collect();
        let values_only = options.has(&["--value"]);
        let blocks = patterns.iter().flat_map(|pattern| self.matching(pattern)).map(|properties| {
            let mut text = String::new();
            for (name, value) in properties.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
                let _ = match values_only {
                    true => writeln!(text, "{value}"),
                    false => writeln!(text, "{name}={value}"),
                };
            }
            text
        });
        Output::ok(blocks.collect::<Vec<_>>().join("\n"))
    }

    fn word_of_state(&self, units: &[&str], good: &str, state: fn(&Properties) -> &str) -> Output {
        let mut text = String::new();
        let mut any = false;
        for properties in units.iter().flat_map(|unit| self.matching(unit)) {
            any |= state(&properties) == good;
            let _ = writeln!(text, "{}", state(&properties));
        }
        Output { status: if any { 0 } else { 3 }, stdout: text, ..Output::default() }
    }

    fn is_system_running(&self) -> Output {
        if matches!(self.here().power, Power::GoingDown { .. }) {
            return Output { status: 1, ..Output::ok("stopping\n") };
        }
        let failed = self.all().iter().any(|unit| property(unit, "ActiveState") == "failed");
        let word = if failed { "degraded" } else { "running" };
        Output { status: i32::from(failed), stdout: format!("{word}\n"), ..Output::default() }
    }

    fn all(&self) -> Vec<Properties> {
        let guests = self.here().processes.iter().map(|guest| of_guest(*guest));
        // QEMU waits on the target for the memory of a guest that is still elsewhere.
        let arriving = self.world.migrations.running.values().filter(|moving| {
            let waits = matches!(moving.phase, Phase::Target | Phase::Disks | Phase::Memory);
            moving.target == *self.node && moving.mode == Mode::Live && waits
        });
        self.matching("*").into_iter().chain(guests).chain(arriving.map(|moving| of_guest(moving.guest))).collect()
    }

    fn list_units(&self, options: &Options<'_>) -> Output {
        let state = if options.has(&["--failed"]) { Some("failed") } else { options.value(&["--state"]) };
        let patterns = options.rest.get(1..).unwrap_or_default();
        let mut text = String::new();
        for unit in self.all() {
            let id = property(&unit, "Id");
            let active = property(&unit, "ActiveState");
            let meant = patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, id));
            let in_state = state.is_none_or(|states| states.split(',').any(|state| state == active));
            if property(&unit, "LoadState") == "not-found" || !meant || !in_state {
                continue;
            }
            let (sub, description) = (property(&unit, "SubState"), property(&unit, "Description"));
            let dot = if options.has(&["--plain"]) {
                ""
            } else if active == "failed" {
                "● "
            } else {
                "  "
            };
            let _ = writeln!(text, "{dot}{id} loaded {active} {sub} {description}");
        }
        if !options.has(&["--no-legend"]) && options.value(&["--legend"]) != Some("false") {
            let count = text.lines().count();
            text = format!("  UNIT LOAD ACTIVE SUB DESCRIPTION\n{text}\n{count} loaded units listed.\n");
        }
        Output::ok(text)
    }

    fn status(&self, units: &[&str]) -> Output {
        let mut output = Output::default();
        for unit in units.iter().flat_map(|unit| self.matching(unit)) {
            let (id, active) = (property(&unit, "Id"), property(&unit, "ActiveState"));
            let (load, sub) = (property(&unit, "LoadState"), property(&unit, "SubState"));
            if load == "not-found" {
                return Output::fail(4, format!("Unit {id} could not be found.\n"));
            }
            let description = property(&unit, "Description");
            let _ =
                writeln!(output.stdout, "● {id} - {description}\n     Loaded: {load}\n     Active: {active} ({sub})");
            if active != "active" {
                output.status = 3;
            }
        }
        output
    }

    /// A transient unit: `systemd-run --unit=U --property=… --setenv=… COMMAND`.
    fn systemd_run(&mut self, args: &[&str]) -> Output {
        const WITH_VALUE: [&str; 9] =
            ["-u", "--unit", "-p", "--property", "-E", "--setenv", "--description", "--slice", "--uid"];
        let mut at = 0;
        let mut given: Vec<(&str, &str)> = Vec::new();
        while let Some(arg) = args.get(at).filter(|arg| arg.starts_with('-')) {
            if *arg == "--" {
                at += 1;
                break;
            }
            match arg.split_once('=') {
                Some((name, value)) if arg.starts_with("--") => given.push((name, value)),
                _ if WITH_VALUE.contains(arg) => {
                    at += 1;
                    given.push((arg, args.get(at).copied().unwrap_or_default()));
                }
                _ => given.push((arg, "")),
            }
            at += 1;
        }
        let command: Vec<String> = args.get(at..).unwrap_or_default().iter().map(|arg| (*arg).to_owned()).collect();
        if command.is_empty() {
            return Output::fail(1, "Command line to execute required.\n");
        }
        let properties: Vec<&str> =
            given.iter().filter(|(name, _)| matches!(*name, "-p" | "--property")).map(|(_, value)| *value).collect();
        let log = properties.iter().find_map(|property| property.strip_prefix("StandardOutput="));
        let log = log.map(|target| target.split_once(':').map_or(target, |(_, path)| path).to_owned());
        let unit = given.iter().find(|(name, _)| matches!(*name, "-u" | "--unit")).map(|(_, value)| *value);
        let unit = match unit {
            Some(unit) => unit.trim_end_matches(".service").to_owned(),
            None => {
                self.world.counter += 1;
                format!("run-r{:08x}", self.world.counter)
            }
        };
        let before = properties.iter().find_map(|property| property.strip_prefix("ExecStartPre="));
        let started = self.start_unit(&unit, log, &command);
        if let Some(words) = before.filter(|_| started.status == 0) {
            // What runs before the command itself (ExecStartPre); only dpkg is understood there.
            let words: Vec<&str> = words.split_whitespace().collect();
            self.words(&words);
        }
        started
    }

    fn start_unit(&mut self, unit: &str, log: Option<String>, command: &[String]) -> Output {
        if self.unit(unit).is_some() {
            let stderr = format!(
                "Failed to start transient service unit: Unit {unit}.service was already loaded or has a fragment file.\n"
            );
            return Output::fail(1, stderr);
        }
        let node = self.node.clone();
        match self.world.systemd_run(&node, UnitName::new(unit), log, command) {
            // systemd-run writes to standard error.
            Ok(()) => Output { stderr: format!("Running as unit: {unit}.service\n"), ..Output::default() },
            Err(error) => Output::fail(1, format!("{error}\n")),
        }
    }

    /// What the world keeps of the journal: the node's own lines, the HA master's, and the output of transient units.
    fn journalctl(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-u", "--unit", "-n", "--lines", "--since", "--until", "-o", "-b", "-p"]);
        let output = options.value(&["-o", "--output"]);
        let since = options.value(&["--since"]).and_then(|since| since.strip_prefix('-'));
        let since_ms = since.and_then(|since| match since.strip_suffix('h') {
            Some(hours) => hours.parse::<u64>().ok().map(|hours| hours * 3_600_000),
            None => since.strip_suffix('s')?.parse::<u64>().ok().map(|seconds| seconds * 1000),
        });
        let since_ms = since_ms.map_or(0, |ago_ms| self.clock_ms().saturating_sub(ago_ms));
        let unit = options.value(&["-u", "--unit"]).map(|unit| unit.trim_end_matches(".service"));
        let is_master = self.world.ha.manager.master.as_ref() == Some(self.node);
        let mut lines: Vec<String> = Vec::new();
        let own = self.here().journal.iter().filter(|line| unit.is_none_or(|unit| unit == line.unit));
        lines.extend(own.filter(|line| line.at_ms >= since_ms).map(|line| match output {
            Some("cat") => line.text.clone(),
            Some("short-unix") => {
                let (s, us) = (line.at_ms / 1000, line.at_ms % 1000 * 1000);
                format!("{s}.{us:06} {} {}[1050]: {}", self.node, line.unit, line.text)
            }
            _ => {
                let moment = Moment::at(line.at_ms / 1000).journal();
                format!("{moment} {} {}[1050]: {}", self.node, line.unit, line.text)
            }
        }));
        if unit.is_none_or(|unit| unit == "pve-ha-crm") && is_master {
            lines.extend(self.world.ha.syslog.iter().map(|(at_ms, text)| {
                format!("{} {} pve-ha-crm[1100]: {text}", Moment::at(at_ms / 1000).journal(), self.node)
            }));
        }
        if let Some(path) = unit.and_then(|unit| self.unit(unit)).and_then(|unit| unit.log_path.as_ref()) {
            lines.extend(self.here().unit_logs.get(path).into_iter().flatten().cloned());
        }
        let limit = options.value(&["-n", "--lines"]).and_then(|count| count.parse().ok()).unwrap_or(usize::MAX);
        let skip = lines.len().saturating_sub(limit);
        let lines: Vec<_> = lines.into_iter().skip(skip).collect();
        match lines.is_empty() {
            true if options.has(&["-q", "--quiet"]) => Output::default(),
            true => Output::ok("-- No entries --\n"),
            false => Output::ok(lines.join("\n") + "\n"),
        }
    }
}

/// The unit that a guest's process is in: a scope of qemu.slice, or an instance of pve-container@.service.
fn of_guest(guest: GuestId) -> Properties {
    let vmid = guest.vmid;
    let (id, description) = match guest.kind {
        GuestKind::Vm => (format!("{vmid}.scope"), format!("Proxmox VE VM {vmid}")),
        GuestKind::Ct => (format!("pve-container@{vmid}.service"), format!("PVE LXC Container: {vmid}")),
    };
    vec![
        ("Id", id),
        ("Description", description),
        ("LoadState", "loaded".to_owned()),
        ("ActiveState", "active".to_owned()),
        ("SubState", "running".to_owned()),
    ]
}

fn property<'a>(properties: &'a Properties, name: &str) -> &'a str {
    properties.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str())
}

/// A service, unless the name says that it is of another kind.
fn unit_id(name: &str) -> String {
    const OTHERS: [&str; 7] = ["mount", "automount", "path", "scope", "socket", "swap", "timer"];
    let of_kind = name.rsplit_once('.').is_some_and(|(_, kind)| OTHERS.contains(&kind));
    if of_kind { name.to_owned() } else { format!("{name}.service") }
}
