//! What may be done about a finding: may it be waived, does a waiver match it, when is its check asked.

use super::by_id;
use super::check::{Asked, RULE, Waivable};
use super::finding::{Finding, Severity};
use crate::invariants::RuleId;
use crate::policy::Waiver;

/// May findings with this id be waived? None if neither a check nor a rule is called so.
fn class(id: &str) -> Option<Waivable> {
    let rule = || id.parse::<RuleId>().ok().map(|_| Waivable::Never(RULE));
    by_id(id).map(|check| check.waivable).or_else(rule)
}

/// When this check is asked. Rules are asked before each step, so their findings are for the time before a run.
pub fn asked(check: &str) -> Asked {
    by_id(check).map_or(Asked::BeforeARun, |check| check.asked)
}

/// A waiver from `CHECK=REASON` or `CHECK:SUBJECT=REASON`, if it is accepted.
///
/// # Errors
/// What is wrong with it: how it is written, or why it is refused.
pub fn parse_waiver(text: &str) -> Result<Waiver, String> {
    let waiver = Waiver::parse(text)?;
    accept(&waiver).map(|()| waiver)
}

/// Why a waiver is refused as such, whatever is found. One for a check of which only warnings may be waived is not.
///
/// # Errors
/// The reason, for the person who wrote it.
pub fn accept(waiver: &Waiver) -> Result<(), String> {
    let Waiver { check, reason, .. } = waiver;
    if reason.trim().is_empty() {
        return Err(format!("the waiver of {check} has no reason; it is written into the journal"));
    }
    match class(check) {
        None => Err(format!("no check is called {check}")),
        Some(Waivable::Never(why)) => Err(format!("{check} is never waived: {why}")),
        Some(Waivable::Yes | Waivable::Except(..) | Waivable::WarningsOnly(_)) => Ok(()),
    }
}

/// Why this finding cannot be waived.
///
/// # Errors
/// The reason.
pub fn waivable(finding: &Finding) -> Result<(), &'static str> {
    match class(&finding.check) {
        None => Err("it is no check's finding"),
        Some(Waivable::Never(why)) => Err(why),
        Some(Waivable::Except(kind, why)) if finding.kind == kind => Err(why),
        Some(Waivable::WarningsOnly(why)) if finding.severity >= Severity::Consent => Err(why),
        Some(Waivable::Yes | Waivable::Except(..) | Waivable::WarningsOnly(_)) => Ok(()),
    }
}

/// Does this waiver match this finding? Whether it may is another question.
pub fn means(waiver: &Waiver, finding: &Finding) -> bool {
    let Waiver { check, subject, text, reason: _ } = waiver;
    *check == finding.check
        && subject.as_ref().is_none_or(|subject| *subject == finding.subject.to_string())
        // The operator's own words for one line of PVE's checker among many.
        && text.as_ref().is_none_or(|text| finding.problem.contains(text.as_str()))
}

/// Marks what is waived. Findings for information need no waiver and stay as they are.
pub(super) fn waive(findings: &mut [Finding], waivers: &[Waiver]) {
    for finding in findings.iter_mut().filter(|finding| finding.severity >= Severity::Warning) {
        let by = waivers.iter().find(|waiver| means(waiver, finding) && accept(waiver).is_ok());
        if let Some(waiver) = by.filter(|_| waivable(finding).is_ok()) {
            finding.severity = Severity::Waived;
            finding.waived = Some(waiver.reason.clone());
        }
    }
}
