//! Room for a guest that fits on no upgraded node: others leave, or it waits on an old node.

use super::builder::Builder;
use crate::planner::problem::instance::NodeSet;

/// At most this many guests make room for one.
const MOST_HELPERS: usize = 12;

/// Which guests go where to make room.
type Helpers = Vec<(usize, usize)>;

/// Making room is tried on at most this many nodes.
const MOST_TRIALS: usize = 8;

impl Builder<'_> {
    /// The cheapest of: others make room on an upgraded node; the guest waits on an old one; others make room there.
    pub(super) fn cheapest_detour(&mut self, item: usize) -> Option<(Helpers, usize)> {
        let again = self.board.item(item).cost;
        let mut best: Option<(u64, Helpers, usize)> = None;
        if let Some(node) = self.parking(item, NodeSet::EMPTY) {
            best = Some((again, Vec::new(), node));
        }
        let allowed = self.board.item(item).allowed;
        for (nodes, extra) in [(allowed.and(self.board.upgraded), 0), (allowed.minus(self.board.upgraded), again)] {
            if best.as_ref().is_some_and(|(cost, _, _)| *cost <= extra) {
                continue;
            }
            for node in self.nearly_fitting(item, nodes) {
                let Some((cost, helpers)) = self.make_room(item, node) else { continue };
                if best.as_ref().is_none_or(|(least, _, _)| cost + extra < *least) {
                    best = Some((cost + extra, helpers, node));
                }
            }
        }
        best.map(|(_, helpers, node)| (helpers, node))
    }

    /// Nodes where the guest may go, those first where the least memory is missing.
    fn nearly_fitting(&self, item: usize, nodes: NodeSet) -> Vec<usize> {
        let possible = |node: &usize| {
            let capacity = self.board.instance.places[*node].capacity_bytes;
            self.board.may_go(item, *node) && capacity >= self.board.item(item).memory_bytes
        };
        let mut nodes: Vec<usize> = nodes.iter().filter(possible).collect();
        nodes.sort_by_key(|node| (std::cmp::Reverse(self.board.free(*node)), *node));
        nodes.truncate(MOST_TRIALS);
        nodes
    }

    /// Which guests would have to go where so that `item` fits on `node`, and what that costs beyond moves that are
    /// needed anyway.
    fn make_room(&mut self, item: usize, node: usize) -> Option<(u64, Helpers)> {
        let before = self.board.moves.len();
        let mut cost = 0;
        let mut done = true;
        while !self.board.fits(item, node) {
            let helper = if self.board.moves.len() - before < MOST_HELPERS { self.helper(item, node) } else { None };
            let Some((extra, helper, to)) = helper else {
                done = false;
                break;
            };
            cost += extra;
            self.board.go(helper, to);
        }
        let helpers = self.board.moves[before..].iter().map(|step| (step.item, step.to)).collect();
        while self.board.moves.len() > before {
            self.board.take_back();
        }
        done.then_some((cost, helpers))
    }

    /// The next guest to leave `node`: one that must not meet `item`; otherwise the cheapest that is big enough;
    /// otherwise the one that frees the most memory for its cost.
    fn helper(&self, item: usize, node: usize) -> Option<(u64, usize, usize)> {
        if let Some(other) = self.board.item(item).apart.iter().copied().find(|other| self.board.at[*other] == node) {
            return self.way_out(other, node).map(|(extra, to)| (extra, other, to));
        }
        let missing = self.board.item(item).memory_bytes.saturating_sub(self.board.free(node));
        let mut best: Option<(u64, usize, usize)> = None;
        let mut least = (true, u64::MAX, u64::MAX, usize::MAX);
        for other in self.board.on[node].iter().copied() {
            let bytes = self.board.item(other).memory_bytes;
            let enough = bytes >= missing;
            if bytes == 0 || (!least.0 && !enough) {
                continue;
            }
            let Some((extra, to)) = self.way_out(other, node) else { continue };
            // Enough: the cheapest. Not enough: most memory for the cost.
            let key =
                if enough { (false, extra, bytes, other) } else { (true, extra / bytes, u64::MAX - bytes, other) };
            if key < least {
                (least, best) = (key, Some((extra, other, to)));
            }
        }
        best
    }

    /// Where a guest that makes room goes, and what that costs beyond the moves that are needed anyway.
    fn way_out(&self, item: usize, node: usize) -> Option<(u64, usize)> {
        let here = NodeSet::EMPTY.with(node);
        let upgraded = self.board.upgraded;
        let backwards = upgraded.has(node);
        let to = self.upgraded_target(item, here).or_else(|| {
            if backwards && self.board.item(item).forward_only { None } else { self.parking(item, here) }
        })?;
        let cost = self.board.item(item).cost;
        let extra = match (upgraded.has(node), upgraded.has(to)) {
            // The move that is needed anyway, only earlier.
            (false, true) => 0,
            (true, true) | (false, false) => cost,
            (true, false) => 2 * cost,
        };
        Some((extra, to))
    }
}
