//! The difference of two states of a table: their files by bucket, cut into sections that are compared or left out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::future::try_join;

use super::{BetweenPart, Planner};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, DataFileMeta, ManifestEntry, Snapshot, SnapshotId, Split};
use crate::lsm::{KeyBound, Ranged, sections};
use crate::scan::plan::plan_rows;
use crate::scan::vectors::Vectors;
use crate::schema::Schema;

type Buckets = BTreeMap<(BinaryRow, i32), Vec<Arc<ManifestEntry>>>;

impl Planner<'_> {
    /// The parts that tell what the later state has and the earlier one has not as it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] for buckets that were rescaled.
    pub(super) async fn diff(&self, before: Option<&Snapshot>, after: &Snapshot) -> Result<Vec<BetweenPart>> {
        let (earlier, later) = match before {
            Some(before) => try_join(self.state(before), self.state(after)).await?,
            None => (State::default(), self.state(after).await?),
        };
        earlier.check_not_rescaled(&later, self.schema)?;
        if self.rules.key_types.is_empty() {
            return self.new_files(&earlier, &later);
        }
        let mut parts = Vec::new();
        for (place, files) in &later.buckets {
            let none = Vec::new();
            let known = earlier.buckets.get(place).unwrap_or(&none);
            self.bucket(place, (&earlier, known), (&later, files), &mut parts)?;
        }
        Ok(parts)
    }

    async fn state(&self, snapshot: &Snapshot) -> Result<State> {
        let filter = self.pruner.file_filter(i32::MIN..=i32::MAX);
        let entries = self.history.manifests.live_files(snapshot, &filter);
        let found = try_join(Vectors::of(self.history, snapshot), entries).await;
        let (vectors, entries) = match found {
            Ok(found) => found,
            Err(error) => return Err(self.history.snapshots.explain(snapshot.id, false, error).await),
        };
        let mut buckets = Buckets::new();
        for entry in entries {
            buckets.entry((entry.partition.clone(), entry.bucket)).or_default().push(entry);
        }
        Ok(State { id: snapshot.id, vectors, buckets })
    }

    /// The rows of files that the earlier state does not have. Without a key nothing tells rows apart: those that were
    /// written anew in between come once more.
    fn new_files(&self, earlier: &State, later: &State) -> Result<Vec<BetweenPart>> {
        let new = later.buckets.iter().flat_map(|(place, files)| {
            let before = earlier.buckets.get(place).into_iter().flatten();
            let known: HashSet<&str> = before.map(|entry| entry.file.file_name.as_str()).collect();
            files.iter().filter(move |entry| !known.contains(entry.file.file_name.as_str())).cloned()
        });
        let new: Vec<Arc<ManifestEntry>> = new.collect();
        let splits = plan_rows(&self.rules, later.id, &new, &later.vectors, &self.pruner)?;
        Ok(splits.into_iter().map(BetweenPart::Changes).collect())
    }

    /// The parts of one bucket: sections of overlapping files, packed. Of a section whose files and vectors are the same on
    /// both sides nothing is told, and neither is anything of one that the later state does not have.
    fn bucket(
        &self,
        place: &(BinaryRow, i32),
        (earlier, before): (&State, &[Arc<ManifestEntry>]),
        (later, after): (&State, &[Arc<ManifestEntry>]),
        parts: &mut Vec<BetweenPart>,
    ) -> Result<()> {
        let same = |entry: &ManifestEntry| earlier.vector(entry) == later.vector(entry);
        let key = |entry: &ManifestEntry| (entry.file.file_name.clone(), entry.file.level);
        let mut files: HashMap<(String, i32), Sided> = HashMap::new();
        for entry in before {
            let sided = Sided { file: Arc::clone(&entry.file), before: true, after: false, same: same(entry) };
            files.insert(key(entry), sided);
        }
        for entry in after {
            let sided = Sided { file: Arc::clone(&entry.file), before: false, after: false, same: same(entry) };
            files.entry(key(entry)).or_insert(sided).after = true;
        }
        let mut ranged = Vec::with_capacity(files.len());
        for item in files.into_values() {
            let types = &self.rules.key_types;
            let (min, max) = (KeyBound::of(&item.file.min_key, types)?, KeyBound::of(&item.file.max_key, types)?);
            if self.pruner.keys_may_match(&min, &max) {
                ranged.push(Ranged { min, max, item });
            }
        }
        let mut pack: Vec<Sided> = Vec::new();
        let mut size: u64 = 0;
        for section in sections(ranged) {
            let section: Vec<Sided> = section.into_iter().flatten().map(|ranged| ranged.item).collect();
            let unchanged = section.iter().all(|sided| sided.before && sided.after && sided.same);
            if unchanged || !section.iter().any(|sided| sided.after) {
                continue;
            }
            let weight = section.iter().fold(0_u64, |sum, sided| sum.saturating_add(self.rules.weight(&sided.file)));
            if !pack.is_empty() && size.saturating_add(weight) > self.rules.target {
                parts.push(self.part(place, earlier, later, &std::mem::take(&mut pack)));
                size = 0;
            }
            size = size.saturating_add(weight);
            pack.extend(section);
        }
        if !pack.is_empty() {
            parts.push(self.part(place, earlier, later, &pack));
        }
        Ok(())
    }

    fn part(&self, place: &(BinaryRow, i32), earlier: &State, later: &State, pack: &[Sided]) -> BetweenPart {
        let split = |state: &State, of: fn(&Sided) -> bool| {
            let files: Vec<Arc<DataFileMeta>> =
                pack.iter().filter(|sided| of(sided)).map(|sided| Arc::clone(&sided.file)).collect();
            Split {
                snapshot_id: state.id,
                schema_id: self.rules.schema_id,
                vectors: state.vectors.of_files(&place.0, place.1, &files),
                partition: place.0.clone(),
                bucket: place.1,
                files,
                raw: false,
                changes: false,
            }
        };
        let before = split(earlier, |sided| sided.before);
        BetweenPart::Diff(Some(before).filter(|before| !before.files.is_empty()), split(later, |sided| sided.after))
    }
}

/// A file with the states it is live in, and whether its vectors are the same there.
struct Sided {
    file: Arc<DataFileMeta>,
    before: bool,
    after: bool,
    same: bool,
}

#[derive(Default)]
struct State {
    id: SnapshotId,
    vectors: Vectors,
    buckets: Buckets,
}

impl State {
    /// Where the vector of a file lies; immutable bytes, so equal places are equal vectors.
    fn vector(&self, entry: &ManifestEntry) -> Option<(&str, i64, i64)> {
        let found = self.vectors.of_file(&entry.partition, entry.bucket, &entry.file.file_name);
        found.map(|(index, range)| (index.file_name.as_str(), i64::from(range.offset), i64::from(range.length)))
    }

    /// Keys of a partition whose bucket count changed lie in other buckets: they cannot be compared bucket by bucket.
    fn check_not_rescaled(&self, later: &Self, schema: &Schema) -> Result<()> {
        let counts = |state: &Self| -> HashMap<BinaryRow, i32> {
            let counted = state.buckets.iter().flat_map(|((partition, _), entries)| {
                entries
                    .iter()
                    .filter(|entry| entry.total_buckets > 0)
                    .map(|entry| (partition.clone(), entry.total_buckets))
            });
            counted.collect()
        };
        let before = counts(self);
        for (partition, count) in counts(later) {
            if let Some(old) = before.get(&partition).filter(|old| **old != count) {
                let types = schema.types_of(&schema.partition_keys)?;
                let shown = partition.decode(&types).map_or_else(|_| String::new(), |values| format!("{values:?}"));
                return Err(Error::invalid(format!(
                    "the difference of snapshots {} and {}: partition {shown} had {old} buckets and has {count}",
                    self.id, later.id
                )));
            }
        }
        Ok(())
    }
}
