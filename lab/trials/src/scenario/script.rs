//! The lines of a script, read and checked before anything is played.

use std::time::Duration;

use quorate_core::ids::{NodeName, StepId};
use quorate_core::policy::ConsentKind;
use quorate_core::run::Request;
use quorate_world::World;
use quorate_world::fault_words::{read_fault, stranger};
use quorate_world::faults::FaultKind;
use thiserror::Error;

use super::condition::Condition;

/// How long `wait until` waits unless the line says something else.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A script that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct ScriptError {
    /// Which line, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// A whole script.
#[derive(Clone, Debug, PartialEq)]
pub struct Script(pub Vec<Line>);

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Its text, unchanged.
    pub text: String,
    /// What it asks for.
    pub action: Action,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `# Two nodes at once`: a heading in the log.
    Says,
    /// `pve1# qm list`: a command as root in the node's shell.
    Shell {
        /// Where.
        node: NodeName,
        /// What.
        command: String,
    },
    /// `pve1> POST /nodes/pve1/status command=reboot`: a call at the node's API.
    Api {
        /// The node that is called.
        node: NodeName,
        /// `GET`.
        method: String,
        /// Below `/api2/json`.
        path: String,
        /// `command=reboot`.
        params: Vec<(String, String)>,
    },
    /// `wait 15m`.
    Wait(Duration),
    /// `wait until vm:101 runs on pve2 within 5m`.
    Until(Condition, Duration),
    /// `fault power-off pve2`.
    Fault(FaultKind),
    /// `at step pve2.reboot after 40s: fault power-off pve3`, for the Quorate lines below.
    AtStep {
        /// The step at whose start it happens.
        step: StepId,
        /// How long after it.
        after: Duration,
        /// What happens then.
        what: AtStep,
    },
    /// `quorate run`.
    Quorate(Verb),
}

/// What happens at a step of Quorate's.
#[derive(Clone, Debug, PartialEq)]
pub enum AtStep {
    /// Something breaks.
    Fault(FaultKind),
    /// The operator says something.
    Operator(Request),
}

/// A verb of Quorate's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Plan and run.
    Run,
    /// Continue the run.
    Resume,
    /// Undo what is still to undo, and end.
    Abort,
    /// Say why there is no quorum; with sentences, lower the expected votes.
    Recover(Vec<String>),
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// A line is none of those that `scenarios/README.md` lists.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty()).map(|(number, line)| {
            let action = action(line).map_err(|why| ScriptError { line: number, why })?;
            Ok(Line { number, text: line.to_owned(), action })
        });
        Ok(Self(lines.collect::<Result<_, _>>()?))
    }

    /// Does the cluster have all the nodes, guests and OSDs that the script names?
    ///
    /// # Errors
    /// The first line that names another.
    pub fn check(&self, world: &World) -> Result<(), ScriptError> {
        for line in &self.0 {
            let unknown =
                |node: &NodeName| (!world.nodes.contains_key(node)).then(|| format!("this cluster has no node {node}"));
            let why = match &line.action {
                Action::Shell { node, .. } | Action::Api { node, .. } => unknown(node),
                Action::Fault(fault) | Action::AtStep { what: AtStep::Fault(fault), .. } => stranger(world, fault),
                Action::Until(condition, _) => condition.stranger(world),
                Action::Says | Action::Wait(_) | Action::AtStep { .. } | Action::Quorate(_) => None,
            };
            if let Some(why) = why {
                return Err(ScriptError { line: line.number, why });
            }
        }
        Ok(())
    }
}

fn action(line: &str) -> Result<Action, String> {
    if line.starts_with('#') {
        return Ok(Action::Says);
    }
    let (first, rest) = line.split_once(' ').map_or((line, ""), |(first, rest)| (first, rest.trim()));
    match first {
        "wait" => wait(rest),
        "fault" => Ok(Action::Fault(fault(rest)?)),
        "at" => at_step(rest),
        "quorate" => match rest {
            "run" => Ok(Action::Quorate(Verb::Run)),
            "resume" => Ok(Action::Quorate(Verb::Resume)),
            "abort" => Ok(Action::Quorate(Verb::Abort)),
            "recover" => Ok(Action::Quorate(Verb::Recover(Vec::new()))),
            _ => recover(rest),
        },
        prompt => match (prompt.strip_suffix('#'), prompt.strip_suffix('>')) {
            (Some(node), _) => Ok(Action::Shell { node: NodeName::new(node), command: rest.to_owned() }),
            (_, Some(node)) => api(node, rest),
            _ => Err(format!("{prompt:?} is no line of a script")),
        },
    }
}

/// `recover --lower-expected-votes "I have seen that pve2 is off"`.
fn recover(rest: &str) -> Result<Action, String> {
    const FORM: &str = "it is: quorate run|resume|abort|recover [--lower-expected-votes \"WORDS\"…]";
    let words = rest.strip_prefix("recover --lower-expected-votes ").ok_or(FORM)?;
    let words = words.split('"').enumerate().filter(|(index, _)| index % 2 == 1);
    Ok(Action::Quorate(Verb::Recover(words.map(|(_, words)| words.to_owned()).collect())))
}

fn api(node: &str, rest: &str) -> Result<Action, String> {
    const FORM: &str = "it is: NODE> GET|POST|PUT|DELETE /PATH NAME=VALUE…";
    let mut words = rest.split_whitespace();
    let method = words.next().filter(|word| matches!(*word, "GET" | "POST" | "PUT" | "DELETE")).ok_or(FORM)?;
    let path = words.next().filter(|word| word.starts_with('/')).ok_or(FORM)?;
    let pair = |word: &str| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let params = words.map(pair).collect::<Option<_>>().ok_or(FORM)?;
    Ok(Action::Api { node: NodeName::new(node), method: method.to_owned(), path: path.to_owned(), params })
}

fn wait(rest: &str) -> Result<Action, String> {
    let Some(condition) = rest.strip_prefix("until ") else { return Ok(Action::Wait(duration(rest)?)) };
    let (condition, patience) = match condition.rsplit_once(" within ") {
        Some((condition, patience)) => (condition, duration(patience)?),
        None => (condition, PATIENCE),
    };
    Ok(Action::Until(Condition::parse(condition)?, patience))
}

fn at_step(rest: &str) -> Result<Action, String> {
    const FORM: &str = "it is: at step STEP [after TIME]: fault …|pause|abort|approve KIND";
    let (when, what) = rest.split_once(": ").ok_or(FORM)?;
    let when = when.strip_prefix("step ").ok_or(FORM)?;
    let (step, after) = match when.split_once(" after ") {
        Some((step, after)) => (step, duration(after)?),
        None => (when, Duration::ZERO),
    };
    let what = match what.split_once(' ').unwrap_or((what, "")) {
        ("fault", words) => AtStep::Fault(fault(words)?),
        ("pause", "") if after.is_zero() => AtStep::Operator(Request::Pause),
        ("abort", "") if after.is_zero() => AtStep::Operator(Request::Abort),
        ("approve", kind) if after.is_zero() => {
            let kind: ConsentKind = serde_json::from_value(kind.into()).map_err(|error| error.to_string())?;
            AtStep::Operator(Request::Approve { kinds: [kind].into() })
        }
        _ => return Err(FORM.to_owned()),
    };
    Ok(Action::AtStep { step: StepId::new(step), after, what })
}

/// Words as in `quorate-lab fault`; a text of several words is put in quotes.
fn fault(words: &str) -> Result<FaultKind, String> {
    let mut read: Vec<String> = Vec::new();
    for (index, part) in words.split('"').enumerate() {
        match index % 2 {
            0 => read.extend(part.split_whitespace().map(str::to_owned)),
            _ => read.push(part.to_owned()),
        }
    }
    read_fault(&read)
}

/// `90s`, `15m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: 90s, 15m, 2h");
    let (number, unit_s) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    // A week of a cluster's life is long enough for any story.
    Some(number * unit_s).filter(|seconds| *seconds <= 7 * 86_400).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_world::cluster_file::{DEMO, world_from_toml};

    fn one(line: &str) -> Action {
        Script::parse(line).unwrap().0.remove(0).action
    }

    #[test]
    fn every_kind_of_line_is_read() {
        let shell = Action::Shell { node: "pve1".into(), command: "qm list | grep 101".to_owned() };
        assert_eq!(one("pve1# qm list | grep 101"), shell);
        let params = vec![("command".to_owned(), "reboot".to_owned())];
        let (method, path) = ("POST".to_owned(), "/nodes/pve1/status".to_owned());
        let api = Action::Api { node: "pve1".into(), method, path, params };
        assert_eq!(one("pve1> POST /nodes/pve1/status command=reboot"), api);
        assert_eq!(one("wait 15m"), Action::Wait(Duration::from_secs(900)));
        assert!(
            matches!(one("wait until pve2 is back within 1h"), Action::Until(_, patience) if patience.as_secs() == 3600)
        );
        assert_eq!(one("fault api-error pve1 \"got timeout\""), one("fault  api-error pve1 \"got timeout\""));
        assert!(
            matches!(one("at step pve2.reboot after 40s: fault power-off pve3"), Action::AtStep { after, .. } if after.as_secs() == 40)
        );
        assert!(matches!(
            one("at step pve2.reboot: pause"),
            Action::AtStep { what: AtStep::Operator(Request::Pause), .. }
        ));
        assert_eq!(one("quorate run"), Action::Quorate(Verb::Run));
        assert_eq!(one("# words"), Action::Says);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named_by_its_number() {
        let error = |text: &str| Script::parse(text).unwrap_err().to_string();
        assert_eq!(error("# ok\n\nfrobnicate pve1"), "line 3: \"frobnicate\" is no line of a script");
        assert!(error("wait 5").contains("is no time"));
        assert!(error("wait until the cows come home").contains("line 1"));
        assert!(error("pve1> FETCH /nodes").contains("GET|POST"));
        assert!(error("at step x: explode").contains("at step STEP"));
        assert!(error("fault power-off").contains("power-off NODE"));
    }

    #[test]
    fn who_is_not_in_the_cluster_is_named_before_anything_is_played() {
        let world = world_from_toml(DEMO, 1).unwrap();
        let why = |text: &str| Script::parse(text).unwrap().check(&world).unwrap_err().why;
        assert_eq!(why("pve9# qm list"), "this cluster has no node pve9");
        assert_eq!(why("wait until vm:9 runs"), "this cluster has no guest vm:9");
        assert_eq!(why("at step pve1.reboot: fault power-off pve7"), "this cluster has no node pve7");
    }
}
