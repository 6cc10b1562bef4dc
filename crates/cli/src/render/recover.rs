//! A diagnosis of lost quorum, for people.

use quorate_core::recovery::{Diagnosis, Standing};

use super::page::Page;
use super::table::Table;

/// The page: the state, every node, the causes, what is at risk, what can be done.
pub(crate) fn page(diagnosis: &Diagnosis) -> Page {
    let mut page = Page::default();
    page.line(diagnosis.headline());
    page.gap();
    let mut table = Table::new(&["node", "says", "/etc/pve", "HA"]);
    for line in &diagnosis.nodes {
        table.row([line.node.to_string(), line.says.clone(), line.etc_pve.clone(), line.ha.clone()]);
    }
    table.write(&mut page, "");
    if !diagnosis.causes.is_empty() {
        page.gap();
        page.line("Why");
        for cause in &diagnosis.causes {
            page.line(format!("  {}", cause.title()));
            cause.evidence.iter().for_each(|line| page.line(format!("    - {line}")));
        }
    }
    threats(diagnosis, &mut page);
    if !diagnosis.remedies.is_empty() {
        page.gap();
        page.line("What you can do, least risk first");
        for (number, remedy) in diagnosis.remedies.iter().enumerate() {
            page.line(format!("  {}. {}", number + 1, remedy.title));
            remedy.how.iter().for_each(|line| page.line(format!("     {line}")));
            page.line(format!("     risk: {}", remedy.risk));
        }
    }
    page
}

fn threats(diagnosis: &Diagnosis, page: &mut Page) {
    if !matches!(diagnosis.standing, Standing::Lost { .. }) {
        return;
    }
    page.gap();
    page.line("What it means");
    page.line("  /etc/pve is read-only: no guest can be started, moved or configured. Running guests keep on, except:");
    if diagnosis.fences.is_empty() {
        page.line("  no node that answers has active HA, so none resets itself");
    }
    for fence in &diagnosis.fences {
        page.line(match fence.overdue {
            true => format!("  {} has active HA and should have reset itself by now: check its watchdog", fence.node),
            false => {
                let left = fence.left_s;
                format!(
                    "  {} has active HA: without quorum it resets itself in {left} to {} s, with all its guests",
                    fence.node,
                    left + 10
                )
            }
        });
    }
}
