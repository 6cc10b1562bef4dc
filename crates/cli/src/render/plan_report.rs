//! What a plan page says besides the steps: how good the plan is, how full the nodes get, which guests move twice,
//! what the same upgrade would take by hand, what other preferences would cost.

use quorate_core::plan::Plan;
use quorate_core::planner::report::{ByHand, Price, Report, Stage};
use quorate_core::snapshot::Snapshot;

use super::page::Page;
use super::table::Table;
use super::units::{bytes, duration};

/// Up to this many nodes, each has its own column; with more, only the fullest is named.
const MOST_COLUMNS: usize = 8;

/// More guests than this are counted, not named.
const MOST_NAMED: usize = 20;

/// Below the title: the whole plan in a few lines.
pub(super) fn head(plan: &Plan, report: &Report) -> Page {
    let mut page = Page::default();
    let guests = &report.guests;
    let mut parts = vec![format!("{} live", guests.live), format!("{} by restart", guests.restart)];
    if guests.stopped_to_move > 0 {
        parts.push(format!("{} shut down for the move", guests.stopped_to_move));
    }
    parts.push(format!("{} down with their node", guests.stay_down));
    parts.push(format!("{} left alone", guests.untouched));
    let stopped = match guests.offline {
        0 => String::new(),
        stopped => format!("; moved stopped: {stopped}"),
    };
    page.line(format!("{} nodes; running guests: {} ({}){stopped}", report.nodes, guests.running, parts.join(", ")));
    let (moves, least) = (plan.costs.moves, plan.bound.moves);
    let near = match moves.saturating_sub(least) {
        0 => "proven optimal: no plan needs fewer".to_owned(),
        above => format!("any plan needs at least {least} ({:.3}x: at most {above} too many)", report.moves_ratio),
    };
    page.line(format!(
        "{moves} migrations, {near}; {} over the network; about {}",
        bytes(plan.costs.bytes),
        duration(plan.costs.duration_s)
    ));
    if !report.ha_moves.is_empty() {
        let it_moves = report.ha_moves.iter().map(|own| own.bytes).fold(0, u64::saturating_add);
        let (count, it_moves) = (report.ha_moves.len(), bytes(it_moves));
        page.line(format!(
            "HA will then move {count} guests, {it_moves}, by itself: counted in the ratio, not in the migrations"
        ));
    }
    page
}

/// After the costs.
pub(super) fn rest(plan: &Plan, report: &Report, snapshot: &Snapshot) -> Page {
    let mut page = Page::default();
    memory(&mut page, report);
    twice(&mut page, report, snapshot);
    by_hand(&mut page, plan, report.by_hand);
    preferences(&mut page, plan, &report.preferences);
    page
}

/// `██████····  61 %`: ten marks are a full node.
fn bar(percent: u64) -> String {
    let full = usize::try_from(percent.div_ceil(10).min(10)).unwrap_or(10);
    format!("{}{} {percent:>3} %", "█".repeat(full), "·".repeat(10 - full))
}

fn memory(page: &mut Page, report: &Report) {
    if report.stages.is_empty() {
        return;
    }
    page.gap();
    page.line("Memory that guests may use on each node, in percent of the node, while one node is away");
    let columns: Vec<_> = report.stages.iter().flat_map(|stage| stage.percent.keys()).collect();
    let columns: std::collections::BTreeSet<_> = columns.into_iter().collect();
    let mut heading = vec!["away"];
    let few = columns.len() <= MOST_COLUMNS;
    if few {
        heading.extend(columns.iter().map(|name| name.as_str()));
    } else {
        heading.push("fullest");
    }
    heading.extend(["least free", "one more node lost"]);
    let mut table = Table::new(&heading);
    for stage in &report.stages {
        let mut row = vec![stage.node.to_string()];
        if few {
            row.extend(columns.iter().map(|name| match **name == stage.node {
                true => "away".to_owned(),
                false => bar(stage.percent.get(*name).copied().unwrap_or(0)),
            }));
        } else {
            row.push(fullest(stage));
        }
        let on = stage.least_free_on.as_ref().map_or(String::new(), |name| format!(" on {name}"));
        row.push(format!("{}{on}", bytes(stage.least_free_bytes)));
        row.push(if stage.bears_another_loss { "its guests fit" } else { "NOT all fit" }.to_owned());
        table.row(row);
    }
    table.write(page, "  ");
}

fn fullest(stage: &Stage) -> String {
    let others = stage.percent.iter().filter(|(name, _)| **name != stage.node);
    let most = others.max_by_key(|(name, percent)| (**percent, std::cmp::Reverse(*name)));
    most.map_or(String::new(), |(name, percent)| format!("{} {name}", bar(*percent)))
}

fn twice(page: &mut Page, report: &Report, snapshot: &Snapshot) {
    let name = |guest| snapshot.guests.get(guest).map_or("", |guest| guest.name.as_str());
    if !report.twice.is_empty() {
        page.gap();
        page.line(format!("Guests that move more than once: {}", report.twice.len()));
        for guest in report.twice.iter().take(MOST_NAMED) {
            let path: Vec<&str> = guest.path.iter().map(|node| node.as_str()).collect();
            page.line(format!("  {} {}: {} ({})", guest.guest, name(&guest.guest), path.join(" → "), guest.why));
        }
        if report.twice.len() > MOST_NAMED {
            page.line(format!("  and {} more (all with --json)", report.twice.len() - MOST_NAMED));
        }
    }
    if !report.ha_moves.is_empty() {
        page.gap();
        page.line("HA will move these by itself at the end, when failback is enabled again, without checking memory");
        for own in report.ha_moves.iter().take(MOST_NAMED) {
            let to: Vec<&str> = own.to.iter().map(|node| node.as_str()).collect();
            page.line(format!("  {} {}: {} → {}", own.guest, name(&own.guest), own.from, to.join(" or ")));
        }
    }
}

fn by_hand(page: &mut Page, plan: &Plan, by_hand: Option<ByHand>) {
    let Some(ByHand { moves, bytes: mode, left }) = by_hand.filter(|_| plan.costs.moves > 0) else { return };
    page.gap();
    let left = if left == 0 { String::new() } else { format!(", and {left} guests would find no room in time") };
    page.line(format!(
        "By hand, node by node, each guest to the emptiest node that accepts it: {moves} migrations, {}{left}",
        bytes(mode)
    ));
}

fn preferences(page: &mut Page, plan: &Plan, preferences: &[Price]) {
    if preferences.is_empty() || plan.costs.moves == 0 {
        return;
    }
    page.gap();
    page.line("What other preferences would cost ([policy] in the configuration)");
    for Price { preference, what, costs } in preferences {
        let price = match costs {
            None => "no plan found".to_owned(),
            Some(tag) => {
                let time = match tag.duration_s.abs_diff(plan.costs.duration_s) {
                    0 => String::new(),
                    seconds if tag.duration_s > plan.costs.duration_s => format!(", {} longer", duration(seconds)),
                    seconds => format!(", {} shorter", duration(seconds)),
                };
                let unmet = if tag.unmet > 0 { ", and not fully met" } else { "" };
                format!("{} migrations instead of {}{time}{unmet}", tag.moves, plan.costs.moves)
            }
        };
        page.line(format!("  {preference}: {what}: {price}"));
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::fixture::Fixture;
    use quorate_core::ids::GuestId;
    use quorate_core::planner::{self, Ongoing, report::report};
    use quorate_core::policy::Policy;

    use super::*;

    #[test]
    fn a_plan_page_has_bars_paths_a_comparison_and_the_cost_of_preferences() {
        let snapshot = Fixture::cluster(3)
            .vm(101, "pve1", 24)
            .vm(102, "pve2", 16)
            .ct(103, "pve3", 8)
            .managed(GuestId::vm(101))
            .snapshot();
        let (policy, ongoing) = (Policy::default(), Ongoing::fresh("quorate-upgrade-test".into()));
        let plan = planner::plan(&snapshot, &policy, &ongoing).expect("there is room for all");
        let about = report(&plan, &snapshot, &policy, &ongoing);
        let text = [head(&plan, &about), rest(&plan, &about, &snapshot)].map(|page| page.as_str().to_owned()).concat();
        for words in [
            "3 nodes; running guests: 3 (2 live, 1 by restart, 0 down with their node, 0 left alone)",
            "proven optimal",
            "away",
            "█",
            "Guests that move more than once: 1\n",
            "By hand, node by node, each guest to the emptiest node that accepts it: ",
            "end = \"home\": all guests back home at the end: 6 migrations instead of 4",
            "overlap = \"reboot\"",
        ] {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
        let wide = Fixture::cluster(12).vm(101, "pve1", 24).snapshot();
        let plan = planner::plan(&wide, &policy, &ongoing).expect("there is room");
        let about = report(&plan, &wide, &policy, &ongoing);
        let text = rest(&plan, &about, &wide);
        assert!(text.as_str().contains("fullest") && text.as_str().lines().all(|line| line.chars().count() < 120));
    }
}
