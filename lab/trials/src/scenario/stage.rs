//! Plays a script over a world: sends what it says to the wire, waits, and writes down what came back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_core::ids::NodeName;
use quorate_core::policy::Policy;
use quorate_pve::ports::percent_encoded;
use quorate_wire::{
    ApiRequest, Credentials, Gate, ShellAnswer, ShellExit, Wire, api_listens, fingerprint, is_on, ssh_listens,
};
use quorate_world::World;
use quorate_world::access::{TOKEN, TOKEN_SECRET};
use quorate_world::faults::Fault;
use quorate_world::impact::{Impact, ImpactReport};

use super::condition::Condition;
use super::drive::Quorate;
use super::log::Log;
use super::script::{Action, Script};
use super::{Line, Played};
use crate::ports::SimPorts;

/// How often a condition and the end of a command are checked.
const LOOK: Duration = Duration::from_secs(1);
/// No command of a script takes longer than this.
const COMMAND_DEADLINE: Duration = Duration::from_secs(4 * 3600);
/// More of an answer is cut off: a log is for reading.
const ANSWER_CHARS: usize = 160;
/// Of a longer output only the end is shown.
const OUTPUT_LINES: usize = 10;
const OUTPUT_TAIL: usize = 2;

/// A world, who acts on it, and the log.
pub(super) struct Stage {
    sim: SimPorts,
    wire: Wire,
    quorate: Quorate,
    log: Log,
}

impl Stage {
    pub(super) fn new(mut world: World, policy: Policy) -> Self {
        Impact::begin(&mut world);
        let log = Log::new(world.now_ms);
        // Nothing checks these certificates; a fixed one per node keeps the answers the same from run to run.
        let names = world.nodes.keys();
        let fingerprints = names.map(|name| (name.clone(), fingerprint(name.as_str().as_bytes()))).collect();
        let wire = Wire::new(Gate { ticket_key: [0; 32], fingerprints });
        let sim = SimPorts::new(Arc::new(Mutex::new(world)));
        Self { quorate: Quorate::new(policy), sim, wire, log }
    }

    /// Plays every line; the impact report comes last.
    pub(super) fn play(mut self, script: &Script) -> Played {
        for line in &script.0 {
            self.line(line);
        }
        let impact = Impact::report(&self.sim.world(), 0, 0.0);
        let mut log = self.log.into_text();
        log.push('\n');
        log.push_str(&account(&impact));
        Played { log, impact }
    }

    fn line(&mut self, line: &Line) {
        if line.action == Action::Says {
            self.log.line(&line.text);
            return;
        }
        let now_ms = self.sim.world().now_ms;
        self.log.entry(now_ms, &line.text);
        match &line.action {
            Action::Says => {}
            Action::Shell { node, command } => self.shell(node, command),
            Action::Api { node, method, path, params } => self.api(node, method, path, params),
            Action::Wait(time) => self.pass(*time),
            Action::Until(condition, patience) => self.until(condition, *patience),
            Action::Fault(kind) => self.sim.world().inject(Fault { at_s: 0, kind: kind.clone() }),
            Action::AtStep { step, after, what } => self.quorate.at_step(step, *after, what),
            Action::Quorate(verb) => self.quorate.perform(verb, &self.sim, &mut self.log),
        }
        // A fault without a delay happens before the next line.
        self.pass(Duration::ZERO);
    }

    fn pass(&mut self, time: Duration) {
        let mut world = self.sim.world();
        let until_ms = world.now_ms + u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.wire.advance(&mut world, until_ms);
    }

    fn until(&mut self, condition: &Condition, patience: Duration) {
        let mut waited = Duration::ZERO;
        while !condition.holds(&self.sim.world()) {
            if waited >= patience {
                return self.log.more(&format!("it is NOT so after {} s", patience.as_secs()));
            }
            self.pass(LOOK);
            waited += LOOK;
        }
    }

    /// A command line as root, over SSH as far as the network is concerned.
    fn shell(&mut self, node: &NodeName, command: &str) {
        let refused = {
            let world = self.sim.world();
            let reason = if is_on(&world, node) { "Connection refused" } else { "No route to host" };
            (!ssh_listens(&world, node)).then(|| format!("ssh: connect to host {node} port 22: {reason}"))
        };
        if let Some(refused) = refused {
            self.log.more(&refused);
            return self.log.more("exit status 255");
        }
        let boot = |stage: &Self| stage.sim.world().nodes.get(node).map(|machine| machine.boots);
        let before = boot(self);
        let mut answer = {
            let mut world = self.sim.world();
            self.wire.shell(&mut world, node, command)
        };
        self.pass(answer.delay);
        let mut waited = Duration::ZERO;
        while let Some(follow) = answer.follows.take() {
            let end = {
                let mut world = self.sim.world();
                self.wire.followed(&mut world, node, &follow)
            };
            match end {
                Some(end) => answer = end,
                None if waited < COMMAND_DEADLINE && boot(self) == before && is_on(&self.sim.world(), node) => {
                    answer.follows = Some(follow);
                    self.pass(LOOK);
                    waited += LOOK;
                }
                None => return self.log.more(&format!("client_loop: send disconnect: Broken pipe ({node} is away)")),
            }
        }
        self.printed(&answer);
    }

    fn printed(&mut self, answer: &ShellAnswer) {
        let lines: Vec<&str> = answer.stdout.lines().chain(answer.stderr.lines()).collect();
        let skipped = if lines.len() > OUTPUT_LINES { lines.len() - OUTPUT_TAIL } else { 0 };
        if skipped > 0 {
            self.log.more(&format!("… {skipped} lines, and then:"));
        }
        for line in &lines[skipped..] {
            self.log.more(line);
        }
        let ShellExit::Status(status) = answer.exit;
        if status != 0 {
            self.log.more(&format!("exit status {status}"));
        }
    }

    /// A call with root's token at one node's API.
    fn api(&mut self, node: &NodeName, method: &str, path: &str, params: &[(String, String)]) {
        if !api_listens(&self.sim.world(), node) {
            return self.log.more(&format!("{node} refuses the connection to port 8006"));
        }
        let form = params
            .iter()
            .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
            .collect::<Vec<_>>()
            .join("&");
        let in_query = matches!(method, "GET" | "DELETE");
        let request = ApiRequest {
            asked: node.clone(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: if in_query { form.clone() } else { String::new() },
            body: if in_query { Vec::new() } else { form.into_bytes() },
            content_type: (!in_query).then(|| "application/x-www-form-urlencoded".to_owned()),
            credentials: Credentials::token(TOKEN, TOKEN_SECRET),
        };
        let answer = {
            let mut world = self.sim.world();
            self.wire.api(&mut world, &request)
        };
        self.pass(answer.delay);
        let body = answer.body.into_json();
        let shown = if answer.status == 200 { &body["data"] } else { &body["errors"] };
        let shown = if shown.is_null() { String::new() } else { shown.to_string() };
        let cut = if shown.chars().count() > ANSWER_CHARS { "…" } else { "" };
        let shown: String = shown.chars().take(ANSWER_CHARS).collect();
        self.log.more(&format!("{} {} {shown}{cut}", answer.status, answer.reason));
    }
}

/// The end of a log: what was harmed by name, what was done, and the cluster's own lines about it.
fn account(impact: &ImpactReport) -> String {
    let mut text = format!("The impact report is {}.\n", if impact.clean { "clean" } else { "RED" });
    let counts = serde_json::to_value(impact).expect("an impact report is plain data and always serialises");
    for (name, count) in counts.as_object().into_iter().flatten() {
        // How many moves would have sufficed, and how long it took here, are no part of the story.
        let told = !matches!(name.as_str(), "moves_bound" | "wall_s");
        if told && count.as_u64().is_some_and(|count| count > 0) {
            text.push_str(&format!("  {name:<24}{count}\n"));
        }
    }
    for event in &impact.events {
        text.push_str(&format!("  {event}\n"));
    }
    text
}
