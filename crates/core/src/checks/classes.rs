//! What may be done about the findings of each check: the one place where that is decided.
//!
//! A finding is *waivable* if it is advice: whoever knows better may go on, with a reason that is written into the
//! journal. What a safety rule, a step or the proof after a reboot hangs on is never waived: the run would stand still
//! there with a node half drained. What cannot be otherwise before a node is drained is not here: those lines of PVE's
//! checker are no findings ([`super::is_inherent`]).

use super::{Finding, Severity};
use crate::policy::Waiver;

/// May a finding be waived?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Yes.
    Waivable,
    /// Its warnings may; what it finds blocking may not, for this reason.
    WarningsOnly(&'static str),
    /// No, for this reason.
    Never(&'static str),
}

/// When a check is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Before a run. While it goes on, rules and steps see to what the check is about.
    BeforeARun,
    /// Also before each further node is drained: nothing else would notice in time.
    BeforeEachNode,
}

use Asked::{BeforeARun, BeforeEachNode};
use Class::{Never, Waivable, WarningsOnly};

const UNSEEN: &str = "what was not seen is never taken for good";
const RULE: &str = "a safety rule holds the run up at this point anyway";
const PROOF: &str = "a node counts as back only when this is well: the run would stand still after the first reboot";
const HALF: &str = "an upgrade that begins like this ends half-way";
const PLAN: &str = "there is no plan, or another one, while this stands";

/// Every check, by its id.
const CLASSES: &[(&str, Class, Asked)] = &[
    ("unknown-readings", Never(UNSEEN), BeforeARun),
    ("all-guests-visible", Never(UNSEEN), BeforeARun),
    ("token-privileges", Never("a call would be refused in the middle of the run"), BeforeARun),
    ("driver-lock", Never("two drivers would roll one cluster"), BeforeARun),
    ("policy-names", WarningsOnly("the order of the run hangs on the nodes that are named"), BeforeARun),
    ("waivers", Waivable, BeforeARun),
    ("quorum-margin", Never("without votes the cluster stops, and nodes with active HA reset themselves"), BeforeARun),
    ("nodes-online", Never(RULE), BeforeARun),
    ("corosync-links", WarningsOnly(RULE), BeforeARun),
    ("corosync-noise", Waivable, BeforeARun),
    ("shared-network", Waivable, BeforeARun),
    ("ha-state", WarningsOnly(RULE), BeforeARun),
    ("ha-rules", Never(PLAN), BeforeARun),
    ("other-movers", Waivable, BeforeEachNode),
    ("shutdown-policy", Waivable, BeforeARun),
    ("ceph-health", WarningsOnly(RULE), BeforeARun),
    ("ceph-versions", Never(RULE), BeforeARun),
    ("node-versions", Never("a major upgrade is not what this run does"), BeforeARun),
    ("upgrade-checker", Waivable, BeforeEachNode),
    ("pending-updates", WarningsOnly("the node would be no Proxmox VE any more"), BeforeEachNode),
    ("repositories", WarningsOnly(HALF), BeforeEachNode),
    ("dpkg-state", WarningsOnly(HALF), BeforeEachNode),
    ("upgrade-unit", WarningsOnly(HALF), BeforeARun),
    ("disk-space", WarningsOnly(HALF), BeforeEachNode),
    ("third-party-sources", Waivable, BeforeARun),
    ("boot-loader", Waivable, BeforeARun),
    ("machine-versions", Waivable, BeforeARun),
    ("container-cgroups", Waivable, BeforeARun),
    ("mediated-devices", Waivable, BeforeARun),
    ("kernel-pins", Waivable, BeforeARun),
    ("nic-names", Waivable, BeforeARun),
    ("dkms-modules", Waivable, BeforeARun),
    ("clock-skew", WarningsOnly("HA judges by the clocks of the nodes"), BeforeEachNode),
    ("time-sync", Waivable, BeforeARun),
    ("services", WarningsOnly(PROOF), BeforeEachNode),
    ("failed-units", Waivable, BeforeARun),
    ("storages", Never(PROOF), BeforeEachNode),
    ("running-jobs", WarningsOnly("a node is not touched while a task runs on it"), BeforeARun),
    ("upcoming-backups", Waivable, BeforeARun),
    ("replication", Waivable, BeforeARun),
    ("guest-verdict", WarningsOnly("what is done with a guest is said by policy and consent"), BeforeARun),
    ("capacity", WarningsOnly(PLAN), BeforeARun),
];

/// A report of PVE's checker that is not whole is a missing reading, whatever check tells of it.
const NOT_WHOLE: &str = "died before its summary";

fn row(check: &str) -> Option<&'static (&'static str, Class, Asked)> {
    CLASSES.iter().find(|(id, ..)| *id == check)
}

/// May findings of this check be waived? None if there is no such check.
pub fn class(check: &str) -> Option<Class> {
    row(check).map(|(_, class, _)| *class)
}

/// When this check is asked.
pub fn asked(check: &str) -> Asked {
    row(check).map_or(BeforeARun, |(.., asked)| *asked)
}

/// Why a waiver is refused as such, whatever is found. One for a check whose warnings only may be waived is not.
///
/// # Errors
/// The reason, in words for whoever wrote it.
pub fn accept(waiver: &Waiver) -> Result<(), String> {
    let Waiver { check, reason, .. } = waiver;
    if reason.trim().is_empty() {
        return Err(format!("the waiver of {check} has no reason; it is written into the journal"));
    }
    match class(check) {
        None => Err(format!("no check is called {check}")),
        Some(Never(why)) => Err(format!("{check} is never waived: {why}")),
        Some(Waivable | WarningsOnly(_)) => Ok(()),
    }
}

/// Why this finding cannot be waived.
///
/// # Errors
/// The reason.
pub fn waivable(finding: &Finding) -> Result<(), &'static str> {
    match class(&finding.check) {
        _ if finding.problem.contains(NOT_WHOLE) => Err(UNSEEN),
        None => Err("it is no check's finding"),
        Some(Never(why)) => Err(why),
        Some(WarningsOnly(why)) if finding.severity >= Severity::Consent => Err(why),
        Some(Waivable | WarningsOnly(_)) => Ok(()),
    }
}

/// Does this waiver speak of this finding? Whether it may is another question.
pub fn means(waiver: &Waiver, finding: &Finding) -> bool {
    let Waiver { check, subject, text, reason: _ } = waiver;
    *check == finding.check
        && subject.as_ref().is_none_or(|subject| *subject == finding.subject.to_string())
        && text.as_ref().is_none_or(|text| finding.problem.contains(text.as_str()))
}

/// Marks what is waived. Notes need no waiver, and stay what they are.
pub(super) fn waive(findings: &mut [Finding], waivers: &[Waiver]) {
    for finding in findings.iter_mut().filter(|finding| finding.severity >= Severity::Warning) {
        let by = waivers.iter().find(|waiver| means(waiver, finding) && accept(waiver).is_ok());
        if let Some(waiver) = by.filter(|_| waivable(finding).is_ok()) {
            finding.severity = Severity::Waived;
            finding.waived = Some(waiver.reason.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_its_class_and_nothing_else_has_one() {
        let checks: BTreeSet<&str> = super::super::ALL.iter().map(|check| check.id()).collect();
        let classes: BTreeSet<&str> = CLASSES.iter().map(|(id, ..)| *id).collect();
        assert_eq!(checks, classes);
        assert_eq!(classes.len(), CLASSES.len(), "a check has two classes");
    }
}
