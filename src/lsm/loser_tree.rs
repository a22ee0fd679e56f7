//! A loser tree: the smallest head of k runs, and after a change of that head the next one, in log k comparisons.

/// Sits above `k` runs it does not know; the caller compares them by number.
#[derive(Debug)]
pub(super) struct LoserTree {
    /// `nodes[0]` is the winner, the others the losers of their matches.
    nodes: Vec<usize>,
}

impl LoserTree {
    /// Plays all matches. `less(a, b)` tells whether the head of run `a` comes before that of run `b`; an
    /// exhausted run comes last.
    pub(super) fn new(runs: usize, mut less: impl FnMut(usize, usize) -> bool) -> Self {
        let size = runs.max(1);
        let mut winners = vec![0; 2 * size];
        let mut nodes = vec![0; size];
        for (at, winner) in winners.iter_mut().enumerate().skip(size) {
            *winner = at - size;
        }
        for node in (1..size).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = if less(right, left) { (right, left) } else { (left, right) };
            winners[node] = winner;
            nodes[node] = loser;
        }
        nodes[0] = if size > 1 { winners[1] } else { 0 };
        Self { nodes }
    }

    /// The run with the smallest head.
    #[inline]
    pub(super) fn winner(&self) -> usize {
        self.nodes[0]
    }

    /// Replays the matches of the winner after its head changed.
    #[inline]
    pub(super) fn replay(&mut self, mut less: impl FnMut(usize, usize) -> bool) {
        let mut winner = self.nodes[0];
        let mut node = (winner + self.nodes.len()) / 2;
        while node > 0 {
            let other = self.nodes[node];
            if less(other, winner) {
                self.nodes[node] = winner;
                winner = other;
            }
            node /= 2;
        }
        self.nodes[0] = winner;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_come_out_in_one_order(mut runs in prop::collection::vec(prop::collection::vec(0_u8..20, 0..10), 1..9)) {
            for run in &mut runs {
                run.sort_unstable();
            }
            let mut heads = vec![0; runs.len()];
            let key = |heads: &[usize], run: usize| (runs[run].get(heads[run]).map_or(256, |k| u16::from(*k)), run);
            let mut tree = LoserTree::new(runs.len(), |a, b| key(&heads, a) < key(&heads, b));
            let mut out = Vec::new();
            while let Some(value) = runs[tree.winner()].get(heads[tree.winner()]) {
                out.push((*value, tree.winner()));
                heads[tree.winner()] += 1;
                tree.replay(|a, b| key(&heads, a) < key(&heads, b));
            }
            let mut all: Vec<_> = runs.iter().enumerate().flat_map(|(at, run)| run.iter().map(move |v| (*v, at))).collect();
            all.sort_unstable();
            prop_assert_eq!(out, all);
        }
    }
}
