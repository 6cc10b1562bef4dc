//! Findings: worst first, each with its evidence and its remedy.

use quorate_core::checks::{Finding, Severity};

use super::page::Page;

/// The page.
pub(crate) fn findings(findings: &[Finding]) -> Page {
    let mut page = Page::default();
    if findings.is_empty() {
        page.line("No findings: the upgrade can start.");
        return page;
    }
    page.line(summary(findings));
    for severity in [Severity::Blocking, Severity::Consent, Severity::Warning, Severity::Waived, Severity::Info] {
        let mut group: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == severity).collect();
        group.sort_by_key(|finding| (&finding.subject, &finding.check));
        if group.is_empty() {
            continue;
        }
        page.gap();
        page.line(heading(severity));
        for finding in group {
            let Finding { check, remedy, waived, .. } = finding;
            page.line(format!("  {}", problem(finding)));
            match waived {
                Some(reason) => page.line(format!("    {check}, waived: {reason}")),
                None => page.line(format!("    {check} → {remedy}")),
            }
        }
    }
    page
}

/// What is wrong, and with what. A sentence that already begins with its subject does not repeat it.
pub(crate) fn problem(Finding { subject, problem, .. }: &Finding) -> String {
    let subject = subject.to_string();
    let names_it = problem.strip_prefix(&subject).is_some_and(|rest| rest.starts_with(' '));
    if names_it { problem.clone() } else { format!("{subject}: {problem}") }
}

/// `2 blocking, 1 needs consent, 3 warnings`.
pub(crate) fn summary(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let word = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let parts = [
        (count(Severity::Blocking), "blocking", "blocking"),
        (count(Severity::Consent), "needs consent", "need consent"),
        (count(Severity::Warning), "warning", "warnings"),
        (count(Severity::Waived), "waived", "waived"),
        (count(Severity::Info), "note", "notes"),
    ];
    let parts = parts.into_iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| word(count, one, many));
    parts.collect::<Vec<_>>().join(", ")
}

/// A severity as one word.
pub(crate) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocking => "blocking",
        Severity::Consent => "consent",
        Severity::Warning => "warning",
        Severity::Waived => "waived",
        Severity::Info => "note",
    }
}

fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocking => "BLOCKING: the upgrade cannot start until these are fixed",
        Severity::Consent => "CONSENT: the upgrade needs your consent to these",
        Severity::Warning => "WARNING: the upgrade can start; look at these first",
        Severity::Waived => "WAIVED: you accept these as they are",
        Severity::Info => "NOTE",
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::checks::Subject;

    use super::*;

    #[test]
    fn a_sentence_that_begins_with_its_subject_does_not_say_it_twice() {
        let shown = |words: &str| {
            problem(&Finding {
                check: "a".to_owned(),
                kind: String::new(),
                severity: Severity::Info,
                subject: Subject::Node("pve1".into()),
                problem: words.to_owned(),
                remedy: String::new(),
                waived: None,
            })
        };
        assert_eq!(shown("pve1 is up to date"), "pve1 is up to date");
        assert_eq!(shown("pve10 is up to date"), "pve1: pve10 is up to date");
        assert_eq!(shown("/ on pve1 is full"), "pve1: / on pve1 is full");
    }

    #[test]
    fn the_worst_comes_first_and_the_cluster_before_its_nodes() {
        let finding = |check: &str, severity, subject| Finding {
            check: check.to_owned(),
            kind: String::new(),
            severity,
            subject,
            problem: "it is full".to_owned(),
            remedy: "change it".to_owned(),
            waived: None,
        };
        let list = [
            finding("a", Severity::Info, Subject::Cluster),
            finding("b", Severity::Blocking, Subject::Node("pve1".into())),
            finding("c", Severity::Blocking, Subject::Cluster),
        ];
        let expected = "2 blocking, 1 note\n\nBLOCKING: the upgrade cannot start until these are fixed\n  \
                        cluster: it is full\n    c → change it\n  \
                        pve1: it is full\n    b → change it\n\nNOTE\n  cluster: it is full\n    a → change it\n";
        assert_eq!(findings(&list).as_str(), expected);
    }
}
