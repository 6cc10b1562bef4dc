//! Waivers that do nothing.

use super::check::{Asked, Check, Waivable, kinds};
use super::finding::{Finding, Severity};
use super::waiving::{accept, means, waivable};
use super::{ALL, rules};
use crate::policy::{Policy, Waiver};
use crate::snapshot::Snapshot;

pub(super) struct Waivers;

kinds! {
    Refused { why: String } => Warning, Cluster,
        ("a waiver has no effect: {why}"),
        ("Remove it, or fix what it was meant for");
    Unused { waiver: Waiver } => Warning, Cluster,
        ("the waiver {waiver} matches nothing that was found"),
        ("Remove it, or fix what it was meant for");
    NoEffect { waiver: Waiver, why: &'static str } => Warning, Cluster,
        ("the waiver {waiver} has no effect: {why}"),
        ("Remove it, or fix what it was meant for");
}

impl Check for Waivers {
    const ID: &'static str = "waivers";
    const EXPLAIN: &'static str =
        "A waiver (`[[policy.waive]]` in the configuration, or `--waive` of run and resume) sets a finding aside with \
         a reason, which is kept in the journal and in the report. One that is about nothing that was found has no \
         effect: a typing error, or a thing that is fixed by now. One that is about a finding which is never waived \
         (votes, quorum, missing readings, what the wait after a reboot depends on) has no effect either, and the \
         finding stands. Both are warnings. Remove the waiver, or fix what it was meant for.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        if policy.waive.is_empty() {
            return;
        }
        let others = ALL.iter().filter(|check| check.id != Self::ID);
        let mut findings: Vec<Finding> = others.flat_map(|check| check.run(snapshot, policy)).collect();
        findings.extend(rules::findings(snapshot, policy, None));
        found.extend(policy.waive.iter().filter_map(|waiver| idle(waiver, &findings)));
    }
}

/// Why a waiver does nothing.
fn idle(waiver: &Waiver, findings: &[Finding]) -> Option<Found> {
    if let Err(why) = accept(waiver) {
        return Some(Found::Refused { why });
    }
    let meant: Vec<&Finding> =
        findings.iter().filter(|finding| finding.severity >= Severity::Warning && means(waiver, finding)).collect();
    if meant.is_empty() {
        return Some(Found::Unused { waiver: waiver.clone() });
    }
    let refused: Vec<&'static str> = meant.iter().filter_map(|finding| waivable(finding).err()).collect();
    (refused.len() == meant.len()).then(|| Found::NoEffect { waiver: waiver.clone(), why: refused[0] })
}
