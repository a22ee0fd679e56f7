//! Where keys stand in a bucket: files by key range, blocks by page bounds, rows by halving.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::bucket::BucketFiles;
use super::file::OpenFile;
use super::rules::{Request, Rules};
use crate::error::Result;

/// Files that are searched at once when they are not in memory.
const PARALLEL: usize = 8;
/// Bytes of key blocks that a search of one file holds at once.
const WINDOW: u64 = 4 << 20;

/// A row with a wanted key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// The key's rank in the request.
    pub rank: u32,
    /// The file, in the bucket's search order.
    pub file: u32,
    /// The row's position in the file.
    pub row: u64,
}

/// When the search for a key may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// At the first run that has it.
    First,
    /// When no other run can have a version with a higher sequence number.
    Newest,
    /// All versions are wanted.
    End,
}

impl Rules {
    /// The rows that hold the wanted keys, by rank, then in search order.
    pub(super) async fn find(
        self: &Arc<Self>,
        bucket: &BucketFiles,
        request: &Request,
        until: Until,
    ) -> Result<Vec<Hit>> {
        let mut done = vec![false; request.order.len()];
        let mut hits = Vec::new();
        for run in 0..bucket.runs.len() {
            let wanted = wanted(bucket, request, run, &done);
            let mut warm = Vec::new();
            let cold = wanted.iter().any(|(file, ranks)| !self.probe_warm(bucket, *file, request, ranks, &mut warm));
            if cold {
                // From here on the runs are read side by side; what the first of them find may end the search for a key,
                // but waiting for that would cost a round trip for each run.
                let later = self.probe_all(bucket, request, run, &done).await?;
                hits.extend(keep(bucket, until, later, &mut done));
                break;
            }
            let found = warm.into_iter().map(|hit| (run, hit)).collect();
            hits.extend(keep(bucket, until, found, &mut done));
            if done.iter().all(|done| *done) {
                break;
            }
        }
        hits.sort_unstable();
        Ok(hits)
    }

    /// What the runs from `first` on hold of the keys that are not done, in the order of runs.
    async fn probe_all(
        self: &Arc<Self>,
        bucket: &BucketFiles,
        request: &Request,
        first: usize,
        done: &[bool],
    ) -> Result<Vec<(usize, Hit)>> {
        let tasks = (first..bucket.runs.len()).flat_map(|run| {
            wanted(bucket, request, run, done).into_iter().map(move |(file, ranks)| (run, file, ranks))
        });
        let probes: Vec<_> = tasks
            .map(|(run, file, ranks)| {
                async move {
                    let hits = self.probe(bucket, file, request, &ranks).await?;
                    Ok::<_, crate::Error>(hits.into_iter().map(|hit| (run, hit)).collect::<Vec<_>>())
                }
                .boxed()
            })
            .collect();
        let found: Vec<Vec<(usize, Hit)>> = stream::iter(probes).buffered(PARALLEL).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Searches a file with what is in memory alone; `false` when something is not.
    fn probe_warm(
        &self,
        bucket: &BucketFiles,
        file: usize,
        request: &Request,
        ranks: &[u32],
        hits: &mut Vec<Hit>,
    ) -> bool {
        let at_hand = &bucket.files[file];
        let Some(open) = self.opened(at_hand) else { return false };
        ranks.iter().all(|rank| {
            let row = request.row(*rank);
            match open.search(&request.keys, request.first(), row, |block| self.block(at_hand, block)) {
                Ok(rows) => {
                    let rows = rows.filter(|row| !at_hand.is_masked(*row));
                    hits.extend(rows.map(|row| Hit { rank: *rank, file: file as u32, row }));
                    true
                }
                Err(_) => false,
            }
        })
    }

    /// Searches a file. Holds the blocks of a window of keys at a time.
    async fn probe(
        self: &Arc<Self>,
        bucket: &BucketFiles,
        file: usize,
        request: &Request,
        ranks: &[u32],
    ) -> Result<Vec<Hit>> {
        let at_hand = &bucket.files[file];
        let open = self.open(at_hand).await?;
        let mut hits = Vec::new();
        let mut left = ranks.iter().copied().peekable();
        while left.peek().is_some() {
            let mut held = BTreeMap::new();
            let (mut needs, mut waiting, mut bytes) = (BTreeSet::new(), Vec::new(), 0);
            let mut try_one =
                |rank: u32, held: &BTreeMap<u32, _>, needs: &mut BTreeSet<u32>, waiting: &mut Vec<u32>| {
                    let block = |block: u32| held.get(&block).cloned().or_else(|| self.block(at_hand, block));
                    match open.search(&request.keys, request.first(), request.row(rank), block) {
                        Ok(rows) => {
                            let rows = rows.filter(|row| !at_hand.is_masked(*row));
                            hits.extend(rows.map(|row| Hit { rank, file: file as u32, row }));
                        }
                        Err(block) => {
                            waiting.push(rank);
                            if needs.insert(block) {
                                bytes += weight(&open, block);
                            }
                        }
                    }
                    bytes
                };
            for rank in left.by_ref() {
                if try_one(rank, &held, &mut needs, &mut waiting) >= WINDOW {
                    break;
                }
            }
            while !needs.is_empty() {
                let blocks: Vec<u32> = std::mem::take(&mut needs).into_iter().collect();
                held.extend(self.load_blocks(at_hand, &open, &blocks).await?);
                for rank in std::mem::take(&mut waiting) {
                    try_one(rank, &held, &mut needs, &mut waiting);
                }
            }
        }
        Ok(hits)
    }
}

/// The ranks that each file of a run may hold.
fn wanted(bucket: &BucketFiles, request: &Request, run: usize, done: &[bool]) -> Vec<(usize, Vec<u32>)> {
    let mut files: Vec<(usize, Vec<u32>)> = Vec::new();
    for rank in (0..request.order.len() as u32).filter(|rank| !done[*rank as usize]) {
        let Some(file) = bucket.in_run(run, &request.keys, request.row(rank)) else { continue };
        match files.last_mut() {
            Some((last, ranks)) if *last == file => ranks.push(rank),
            _ => files.push((file, vec![rank])),
        }
    }
    files
}

/// Takes hits in the order of runs until the search for their key ends.
fn keep(bucket: &BucketFiles, until: Until, found: Vec<(usize, Hit)>, done: &mut [bool]) -> Vec<Hit> {
    let mut kept = Vec::with_capacity(found.len());
    let mut ended: Vec<(usize, u32)> = Vec::new();
    let mut at = None;
    for (run, hit) in found {
        if at != Some(run) {
            // A key ends with its run, not inside of it.
            ended.drain(..).for_each(|(_, rank)| done[rank as usize] = true);
            at = Some(run);
        }
        if done[hit.rank as usize] {
            continue;
        }
        kept.push(hit);
        let ends = match until {
            Until::First => true,
            Until::Newest => bucket.is_newest(run, hit.file as usize),
            Until::End => false,
        };
        if ends {
            ended.push((run, hit.rank));
        }
    }
    ended.into_iter().for_each(|(_, rank)| done[rank as usize] = true);
    kept
}

fn weight(open: &OpenFile, block: u32) -> u64 {
    let at = &open.blocks[block as usize];
    open.keys.first().map_or(0, |column| open.paged.weight(column.leaf, at)) * open.keys.len() as u64
}
