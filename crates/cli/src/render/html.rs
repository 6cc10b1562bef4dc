//! The preflight as one self-contained page: no script, no font, no image, nothing loaded from a network.

use std::fmt::Write as _;

use quorate_core::checks::{Finding, GuestOutcome, GuestOutcomeKind, Severity};
use quorate_core::policy::Policy;
use quorate_core::snapshot::{CheckerLevel, Snapshot};

use super::page::{bounded, clean};
use super::units::moment;
use super::{checker, guest_outcomes, preflight};

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --ask: #8a5a00; --warn: #8a5a00; --ok: #1a7f37 }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --ask: #ffcc66; --warn: #ffcc66; --ok: #7ee787 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line) }
th { white-space: nowrap } td.level { white-space: nowrap; font-variant-numeric: tabular-nums }
code { font-size: .92em; white-space: nowrap } .blocking, .FAIL, .BLOCKED { color: var(--bad); font-weight: 600 }
.consent, .stays { color: var(--ask); font-weight: 600 } .warning, .WARN, .restart { color: var(--warn) } .PASS, .live { color: var(--ok) }
.quiet { opacity: .7 } .summary { font-size: 1.1rem }
";

/// The page.
pub(crate) fn preflight_page(snapshot: &Snapshot, policy: &Policy, findings: &[Finding]) -> String {
    let cluster = snapshot.cluster_name.known().map_or("of unknown name", String::as_str);
    let mut html = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
    );
    let _ = writeln!(html, "<title>Preflight of {}</title><style>{STYLE}</style></head><body>", text(cluster));
    let _ = writeln!(
        html,
        "<h1>Preflight of cluster {}</h1>\n<p class=\"quiet\">as seen {}</p>",
        text(cluster),
        text(&moment(snapshot.taken))
    );
    outcome(&mut html, findings);
    found(&mut html, findings);
    guests(&mut html, snapshot, policy);
    checker_matrix(&mut html, snapshot);
    html.push_str("</body></html>\n");
    html
}

fn outcome(html: &mut String, findings: &[Finding]) {
    let worst = findings.iter().map(|finding| finding.severity).max();
    let (class, words) = match worst {
        Some(Severity::Blocking) => ("blocking", "The upgrade cannot start until these are fixed."),
        Some(Severity::Consent) => ("consent", "The upgrade can start once you consent to what it costs."),
        Some(Severity::Warning) => ("warning", "The upgrade can start. Look at the warnings first."),
        Some(Severity::Waived | Severity::Info) | None => ("PASS", "The upgrade can start."),
    };
    let summary = if findings.is_empty() { "no findings".to_owned() } else { preflight::summary(findings) };
    let _ =
        writeln!(html, "<p class=\"summary {class}\">{words} <span class=\"quiet\">({})</span></p>", text(&summary));
}

fn found(html: &mut String, findings: &[Finding]) {
    html.push_str("<h2>Findings</h2>\n<table><tr><th>severity</th><th>subject</th><th>finding, and what to do</th><th>check</th></tr>\n");
    for Finding { check, kind: _, severity, subject, problem, remedy, waived } in findings {
        let what_to_do = waived.as_ref().map_or_else(|| remedy.clone(), |reason| format!("waived: {reason}"));
        let level = preflight::word(*severity);
        let _ = writeln!(
            html,
            "<tr><td class=\"level {level}\">{level}</td><td>{}</td><td>{}<br><span class=\"quiet\">{}</span></td><td><code>{}</code></td></tr>",
            text(&subject.to_string()),
            text(problem),
            text(&what_to_do),
            text(check)
        );
    }
    html.push_str("</table>\n");
}

fn guests(html: &mut String, snapshot: &Snapshot, policy: &Policy) {
    let guest_outcomes = guest_outcomes::all(snapshot, policy);
    let _ = writeln!(
        html,
        "<h2>What happens to each guest</h2>\n<p>{}</p>",
        text(&guest_outcomes::summary(&guest_outcomes))
    );
    html.push_str("<table><tr><th>guest</th><th>name</th><th>node</th><th>outcome</th><th>why</th></tr>\n");
    for (guest, GuestOutcome { kind, why }) in &guest_outcomes {
        let class = match kind {
            GuestOutcomeKind::Blocked => "BLOCKED",
            GuestOutcomeKind::StaysDown | GuestOutcomeKind::Hibernates | GuestOutcomeKind::MovedStopped => "stays",
            GuestOutcomeKind::Restart => "restart",
            GuestOutcomeKind::Live => "live",
            GuestOutcomeKind::Untouched | GuestOutcomeKind::Offline => "quiet",
        };
        let _ = writeln!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td class=\"level {class}\">{kind}</td><td>{}</td></tr>",
            guest.id,
            text(&guest.name),
            text(guest.node.as_str()),
            text(why)
        );
    }
    html.push_str("</table>\n");
}

fn checker_matrix(html: &mut String, snapshot: &Snapshot) {
    let nodes = checker::asked(snapshot);
    if nodes.is_empty() {
        return;
    }
    html.push_str("<h2>PVE's own upgrade checker, node by node</h2>\n<table><tr>");
    for node in &nodes {
        let _ = write!(html, "<th>{}</th>", text(node.as_str()));
    }
    html.push_str("<th>it says</th></tr>\n");
    for row in checker::rows(snapshot).iter().take(checker::MOST_ROWS) {
        html.push_str("<tr>");
        for node in &nodes {
            let level = row.levels.get(node).map_or("·".to_owned(), CheckerLevel::to_string);
            let class = if row.inherent { "quiet" } else { level.as_str() };
            let _ = write!(html, "<td class=\"level {class}\">{level}</td>");
        }
        let note =
            if row.inherent { " <span class=\"quiet\">(goes away only when the node is drained)</span>" } else { "" };
        let _ = writeln!(html, "<td>{}{note}</td></tr>", text(&row.text));
    }
    html.push_str("</table>\n");
}

/// Names, task messages and logs come from outside: none of it becomes markup here, and nothing in it is invisible.
fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in clean(&bounded(raw)).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use quorate_core::fixture::Fixture;
    use quorate_core::ids::GuestId;

    use super::*;

    #[test]
    fn a_hostile_guest_name_is_text_and_the_page_loads_nothing_from_outside() {
        let hostile = "<script>alert('x')</script>\u{202e}\"&\x1b[2J";
        let snapshot = Fixture::cluster(3)
            .vm(101, "pve1", 4)
            .guest(GuestId::vm(101), |guest| guest.name = hostile.to_owned())
            .snapshot();
        let finding = Finding {
            check: "guest-outcome".to_owned(),
            kind: "locked".to_owned(),
            severity: Severity::Blocking,
            subject: quorate_core::checks::Subject::Cluster,
            problem: hostile.to_owned(),
            remedy: hostile.to_owned(),
            waived: None,
        };
        let page = preflight_page(&snapshot, &Policy::default(), &[finding]);
        for forbidden in ["<script", "\u{202e}", "\x1b", "src=", "href=", "url(", "http:", "https:"] {
            assert!(!page.contains(forbidden), "{forbidden:?} is in the page");
        }
        assert_eq!(page.matches("&lt;script&gt;alert(&#39;x&#39;)").count(), 3);
        assert!(page.contains("The upgrade cannot start until these are fixed."));
    }
}
