//! What compactions that run side by side may take: the threads and the memory of a call, shared out.

use forebay::compact::CompactLimits;

/// Memory that a table must have for itself to be compacted beside others.
const TABLE_MEMORY: u64 = 64 << 20;

/// What one compaction may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub threads: usize,
    pub memory: u64,
}

/// What is left.
#[derive(Debug)]
pub struct Shares {
    left: Share,
    running: usize,
    /// A rate is one for all that runs.
    one_by_one: bool,
    /// Nobody takes more than half of what is left, if it can be halved.
    pub keep_some: bool,
}

impl Shares {
    /// All of a call's.
    pub fn new(limits: CompactLimits) -> Self {
        let left = Share { threads: limits.threads.max(1), memory: limits.memory };
        Self { left, running: 0, one_by_one: limits.bytes_per_second.is_some(), keep_some: false }
    }

    /// The share of one of `waiting` tables; `None` where none waits or too little is left.
    pub fn take(&mut self, waiting: usize) -> Option<Share> {
        let beside = self.running > 0;
        if waiting == 0 || self.left.threads == 0 || (beside && (self.one_by_one || self.left.memory < TABLE_MEMORY)) {
            return None;
        }
        let least = if self.keep_some { 2 } else { 1 };
        let room = usize::try_from(self.left.memory / TABLE_MEMORY).unwrap_or(usize::MAX);
        let among = if self.one_by_one { 1 } else { waiting.max(least).min(self.left.threads).min(room).max(1) };
        let share = Share { threads: self.left.threads / among, memory: self.left.memory / among as u64 };
        self.left = Share { threads: self.left.threads - share.threads, memory: self.left.memory - share.memory };
        self.running += 1;
        Some(share)
    }

    /// Takes a share back.
    pub fn give_back(&mut self, share: Share) {
        self.left = Share { threads: self.left.threads + share.threads, memory: self.left.memory + share.memory };
        self.running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn limits(threads: usize, memory: u64, bytes_per_second: Option<u64>) -> CompactLimits {
        CompactLimits { threads, memory: memory * MIB, bytes_per_second }
    }

    /// The shares of so many tables that are due at once, until nothing is left.
    fn of(limits: CompactLimits, tables: usize, keep_some: bool) -> Vec<(usize, u64)> {
        let mut shares = Shares { keep_some, ..Shares::new(limits) };
        let taken: Vec<Share> = (0..tables).map_while(|at| shares.take(tables - at)).collect();
        let told = taken.iter().map(|share| (share.threads, share.memory / MIB)).collect();
        taken.into_iter().for_each(|share| shares.give_back(share));
        assert_eq!(shares.left, Share { threads: limits.threads, memory: limits.memory });
        told
    }

    #[test]
    fn all_is_shared_out_among_those_that_are_due() {
        assert_eq!(of(limits(2, 512, None), 1, false), [(2, 512)]);
        assert_eq!(of(limits(2, 512, None), 100, false), [(1, 256), (1, 256)]);
        assert_eq!(of(limits(16, 512, None), 3, false), [(5, 170), (5, 170), (6, 170)]);
        assert_eq!(of(limits(4, 100, None), 9, false), [(4, 100)]);
        assert_eq!(of(limits(16, 512, None), 100, false), [(2, 64); 8]);
        assert_eq!(of(limits(1, 16, None), 2, true), [(1, 16)]);
        assert_eq!(of(limits(8, 32, None), 20, true), [(8, 32)]);
    }

    #[test]
    fn a_service_keeps_half_of_what_is_left() {
        assert_eq!(of(limits(16, 512, None), 1, true), [(8, 256)]);
        assert_eq!(of(limits(2, 512, None), 1, true), [(1, 256)]);
        let mut shares = Shares { keep_some: true, ..Shares::new(limits(2, 512, None)) };
        assert!(shares.take(0).is_none());
        shares.take(1).unwrap();
        assert_eq!(shares.take(1), Some(Share { threads: 1, memory: 256 * MIB }));
        assert!(shares.take(1).is_none());
    }

    #[test]
    fn with_a_rate_tables_go_one_by_one() {
        assert_eq!(of(limits(4, 512, Some(1)), 3, true), [(4, 512)]);
    }
}
