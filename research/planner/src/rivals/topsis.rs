//! How the static scheduler of PVE's HA picks a node: TOPSIS over average and highest use of memory, with its weights.
//!
//! Processors are left out: guests here are compared by memory alone and have none, so those two columns are equal for
//! every choice.

/// Weights of the average and of the highest use of memory.
const WEIGHTS: [f64; 2] = [5.0, 10.0];

/// The best of `nodes` for a guest of this many bytes; the first among equals.
pub(super) fn best(load: &[u64], capacity: &[u64], bytes: u64, nodes: &[usize]) -> Option<usize> {
    let used: Vec<f64> = load.iter().zip(capacity).map(|(load, capacity)| *load as f64 / *capacity as f64).collect();
    let squares: f64 = used.iter().map(|used| used * used).sum();
    let top = two_highest(&used);
    let rows: Vec<[f64; 2]> = nodes
        .iter()
        .map(|node| {
            let with = (load[*node] + bytes) as f64 / capacity[*node] as f64;
            let rms = ((squares - used[*node] * used[*node] + with * with) / used.len() as f64).sqrt();
            let others = if top.0 == *node { top.2 } else { top.1 };
            // One is added so that an idle cluster does not cause a division by 0.
            [rms + 1.0, with.max(others) + 1.0]
        })
        .collect();
    let norm = |column: usize| rows.iter().map(|row| row[column] * row[column]).sum::<f64>().sqrt();
    let scale = [WEIGHTS[0] / norm(0), WEIGHTS[1] / norm(1)];
    let scaled: Vec<[f64; 2]> = rows.iter().map(|row| [row[0] * scale[0], row[1] * scale[1]]).collect();
    let extreme =
        |column: usize, pick: fn(f64, f64) -> f64, start: f64| scaled.iter().map(|row| row[column]).fold(start, pick);
    let ideal = [extreme(0, f64::min, f64::INFINITY), extreme(1, f64::min, f64::INFINITY)];
    let worst = [extreme(0, f64::max, 0.0), extreme(1, f64::max, 0.0)];
    let distance = |row: &[f64; 2], point: &[f64; 2]| (row[0] - point[0]).hypot(row[1] - point[1]);
    let mut best: Option<(f64, usize)> = None;
    for (row, node) in scaled.iter().zip(nodes) {
        let (to_ideal, to_worst) = (distance(row, &ideal), distance(row, &worst));
        let score = if to_ideal + to_worst > 0.0 { to_worst / (to_ideal + to_worst) } else { 1.0 };
        if best.is_none_or(|(highest, _)| score > highest + 1e-12) {
            best = Some((score, *node));
        }
    }
    best.map(|(_, node)| node)
}

/// The fullest node, how full it is, and how full the next one is.
fn two_highest(used: &[f64]) -> (usize, f64, f64) {
    let (mut node, mut first, mut second) = (usize::MAX, 0.0, 0.0);
    for (number, used) in used.iter().copied().enumerate() {
        if node == usize::MAX || used > first {
            (node, second, first) = (number, first, used);
        } else if used > second {
            second = used;
        }
    }
    (node, first, second)
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn a_guest_goes_to_the_node_that_stays_emptiest_and_to_the_first_of_equals() {
        assert_eq!(best(&[10, 80, 40], &[100, 100, 100], 10, &[1, 2]), Some(2));
        assert_eq!(best(&[0, 0, 0], &[100, 100, 100], 10, &[1, 2]), Some(1));
        assert_eq!(best(&[0], &[100], 10, &[]), None);
    }
}
