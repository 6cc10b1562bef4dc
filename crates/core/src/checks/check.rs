//! What a check is: an id, a text, what may be done about its findings, and a pure function.

use super::finding::{Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// A check, as its file states it. Nothing here has a default: the author of a check decides all of it.
pub(super) trait Check {
    /// The id under which findings and `quorate explain` name it.
    const ID: &'static str;
    /// What it is for, what a finding looks like, how to fix it: the text of `quorate explain` and of `docs/checks.md`.
    const EXPLAIN: &'static str;
    /// May its findings be waived?
    const WAIVABLE: Waivable;
    /// When it is asked.
    const ASKED: Asked;
    /// Everything that it can find.
    type Found: Kind;
    /// Adds what it finds in what was seen.
    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Self::Found>);
}

/// May a finding be waived? It may if it is advice: an administrator who knows better may continue, with a reason that
/// is written into the journal. What a safety rule, a step or the wait after a reboot depends on is never waived: the
/// run would stop there with a node half drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waivable {
    /// All of its findings may.
    Yes,
    /// All but findings of this kind may, for this reason.
    Except(&'static str, &'static str),
    /// Its warnings may; what it finds blocking may not, for this reason.
    WarningsOnly(&'static str),
    /// None of its findings may, for this reason.
    Never(&'static str),
}

/// What was not seen.
pub(super) const UNSEEN: &str = "what was not seen is never assumed to be good";
/// A safety rule refuses for the same cause.
pub(super) const RULE: &str = "a safety rule holds the run up at this point anyway";
/// The wait for the node after its reboot depends on it.
pub(super) const PROOF: &str =
    "a node counts as back only when this is in order: the run would stop after the first reboot";
/// The package upgrade would fail.
pub(super) const HALF: &str = "an upgrade that starts like this stops half-way";
/// The plan depends on it.
pub(super) const PLAN: &str = "there is no plan, or a different one, while this remains";

/// When a check is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Before a run. During the run, rules and steps take care of what the check is about.
    BeforeARun,
    /// Also before each further node is drained: nothing else would notice in time.
    BeforeEachNode,
}

/// What a check can find: an enum, made by `kinds!`.
pub(super) trait Kind {
    /// The names of its variants.
    const NAMES: &'static [&'static str];
    /// The finding as it is shown.
    fn tell(self) -> Told;
}

/// A finding before its check's name is put on it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    pub(super) subject: Subject,
    pub(super) problem: String,
    pub(super) remedy: String,
}

/// Declares what a check can find: each kind with what was seen, how much it matters, what it is about, the problem and
/// the remedy. A kind's id is its name: `RootFull` of `disk-space` is `disk-space/root-full`.
macro_rules! kinds {
    ($($name:ident $({ $($seen:ident: $type:ty),+ $(,)? })? => $severity:expr, $subject:expr,
        ($($problem:tt)+), ($($remedy:tt)+);)+) => {
        /// What is found.
        #[derive(Debug)]
        pub(super) enum Found {
            $($name $({ $($seen: $type),+ })?,)+
        }

        impl $crate::checks::check::Kind for Found {
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            fn tell(self) -> $crate::checks::check::Told {
                #[allow(unused_imports, reason = "few checks find everything from a note to a blocking matter")]
                use $crate::checks::{Severity::{Blocking, Consent, Info, Warning}, Subject::Cluster};
                match self {
                    $(Self::$name $({ $($seen),+ })? => {
                        let problem = format!($($problem)+);
                        let remedy = format!($($remedy)+);
                        let (severity, subject) = ($severity, $subject.into());
                        $crate::checks::check::Told { name: stringify!($name), severity, subject, problem, remedy }
                    })+
                }
            }
        }
    };
}
pub(super) use kinds;

/// Any check, as the registry holds it.
#[derive(Debug)]
pub struct AnyCheck {
    /// Its id: `disk-space`.
    pub id: &'static str,
    /// The text of `quorate explain` and of `docs/checks.md`.
    pub explain: &'static str,
    /// May its findings be waived?
    pub waivable: Waivable,
    /// Before a run only, or again before each node.
    pub asked: Asked,
    names: &'static [&'static str],
    look: fn(&Snapshot, &Policy) -> Vec<Finding>,
}

impl AnyCheck {
    /// The check of this type.
    pub(super) const fn of<C: Check>() -> Self {
        let (id, explain, waivable, asked) = (C::ID, C::EXPLAIN, C::WAIVABLE, C::ASKED);
        Self { id, explain, waivable, asked, names: C::Found::NAMES, look: findings::<C> }
    }

    /// What it finds, in the order in which it looks.
    pub fn run(&self, snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
        (self.look)(snapshot, policy)
    }

    /// The ids of what it can find: `root-full`.
    pub fn kinds(&self) -> Vec<String> {
        self.names.iter().map(|name| kebab(name)).collect()
    }

    /// What `quorate explain` and `docs/checks.md` say about it, one paragraph after the other.
    pub fn paragraphs(&self) -> [String; 2] {
        let waivable = match self.waivable {
            Waivable::Yes => "With a reason, all of it can be waived.".to_owned(),
            Waivable::Except(kind, why) => format!("With a reason, all but `{kind}` can be waived: {why}."),
            Waivable::WarningsOnly(why) => format!("Only its warnings can be waived, with a reason: {why}."),
            Waivable::Never(why) => format!("It is never waived: {why}."),
        };
        let asked = match self.asked {
            Asked::BeforeARun => "Asked before a run.",
            Asked::BeforeEachNode => "Asked before a run, and again before each further node is drained.",
        };
        let kinds: Vec<String> = self.kinds().iter().map(|kind| format!("`{kind}`")).collect();
        [self.explain.to_owned(), format!("Finds {}. {asked} {waivable}", kinds.join(", "))]
    }
}

fn findings<C: Check>(snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
    let mut found = Vec::new();
    C::look(snapshot, policy, &mut found);
    found.into_iter().map(finding_of::<C>).collect()
}

/// What a check has found, as it is shown.
pub(super) fn finding_of<C: Check>(found: C::Found) -> Finding {
    let Told { name, severity, subject, problem, remedy } = found.tell();
    Finding { check: C::ID.to_owned(), kind: kebab(name), severity, subject, problem, remedy, waived: None }
}

/// `root-full` of `RootFull`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}
