//! Tries the new configuration: does the token see everything and may it do everything, does each shell let us in?

use quorate_core::checks::{Finding, Severity, by_id};
use quorate_core::policy::Policy;
use quorate_pve::observe::{Look, observe};

use super::super::connect::connect;
use crate::config::Config;
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::{Page, print_json};

/// Checks that are about access alone.
const ABOUT_ACCESS: [&str; 2] = ["token-privileges", "all-guests-visible"];

pub(super) async fn check(config: &Config, context: &Context) -> Result<Exit, Failure> {
    let connection = connect(config).await?;
    let snapshot = observe(&connection.ports, Look { known_nodes: connection.known_nodes(), ..Look::full() }).await;
    let mut page = Page::default();
    let mut shut = 0;
    for node in snapshot.nodes.values() {
        // The first thing that is read through a node's shell.
        match node.boot.read() {
            Ok(_) => page.line(format!("{}: root's shell is open", node.name)),
            Err(why) => {
                shut += 1;
                page.line(format!("{}: NO SHELL: {why}", node.name));
            }
        }
    }
    let checks = ABOUT_ACCESS.iter().filter_map(|id| by_id(id));
    let findings: Vec<Finding> = checks.flat_map(|check| check.run(&snapshot, &Policy::default())).collect();
    let lacking: Vec<Finding> = findings.into_iter().filter(|finding| finding.severity > Severity::Waived).collect();
    match context.format() {
        Format::Json => lacking.iter().for_each(print_json),
        Format::Text if lacking.is_empty() => {
            let guests = snapshot.guests.len();
            page.line(format!("The token sees all {guests} guests and has every privilege that a run needs."));
            page.line("Next: quorate preflight");
            page.print();
        }
        Format::Text => {
            page.page(&render::preflight::findings(&lacking));
            page.print();
        }
    }
    Ok(if lacking.is_empty() && shut == 0 { Exit::Ok } else { Exit::Blocked })
}
