//! Findings: worst first, each with its evidence and its remedy.

use quorate_core::checks::{Finding, Severity};

use super::page::Page;

/// The page.
pub(crate) fn findings(findings: &[Finding]) -> Page {
    let mut page = Page::default();
    if findings.is_empty() {
        page.line("No findings: nothing is in the way of a run.");
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
        for Finding { check, severity: _, subject, problem, remedy, waived } in group {
            page.line(format!("  {subject}: {problem}"));
            match waived {
                Some(reason) => page.line(format!("    {check}, waived: {reason}")),
                None => page.line(format!("    {check} → {remedy}")),
            }
        }
    }
    page
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

fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocking => "BLOCKING: no run while these stand",
        Severity::Consent => "CONSENT: a run needs your word for these",
        Severity::Warning => "WARNING: look at these; a run is possible",
        Severity::Waived => "WAIVED: you take these as they are",
        Severity::Info => "NOTE",
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::checks::Subject;

    use super::*;

    #[test]
    fn the_worst_comes_first_and_the_cluster_before_its_nodes() {
        let finding = |check: &str, severity, subject| Finding {
            check: check.to_owned(),
            severity,
            subject,
            problem: "it is so".to_owned(),
            remedy: "change it".to_owned(),
            waived: None,
        };
        let list = [
            finding("a", Severity::Info, Subject::Cluster),
            finding("b", Severity::Blocking, Subject::Node("pve1".into())),
            finding("c", Severity::Blocking, Subject::Cluster),
        ];
        let expected = "2 blocking, 1 note\n\nBLOCKING: no run while these stand\n  cluster: it is so\n    c → change it\n  \
                        pve1: it is so\n    b → change it\n\nNOTE\n  cluster: it is so\n    a → change it\n";
        assert_eq!(findings(&list).as_str(), expected);
    }
}
