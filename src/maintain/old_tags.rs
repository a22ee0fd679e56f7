//! Tags that have an age limit and have reached it: they go before snapshots do, as after Java's commits.
//! Spec: `format-spec/expiry.md`, tags.

use std::time::Duration;

use super::expire::Expirer;
use super::report::ExpireReport;
use super::retention::millis;
use crate::env::Env;
use crate::error::Result;
use crate::format::Tag;

impl Expirer {
    /// Deletes the tags whose time is over, each with what it alone kept.
    pub(super) async fn expire_tags(&self, report: &mut ExpireReport) -> Result<()> {
        if !self.retention.tags_expire {
            return Ok(());
        }
        let tags = &self.history.tags;
        for name in tags.list().await? {
            let Some(tag) = tags.try_load(&name).await? else { continue };
            if !is_over(&tag, self.history.store.env()) {
                continue;
            }
            match self.dry_run {
                // One that is made anew meanwhile stays.
                false => {
                    if self.delete_known(&name, &tag, report).await? {
                        report.tags.push(name);
                    }
                }
                true => {
                    report.tags.push(name);
                    let alone = self.gather_alone(&report.tags, &tag.snapshot).await?;
                    let Some(gathered) = alone else { continue };
                    report.outside += gathered.outside;
                    report.would_go.extend(gathered.files);
                }
            }
        }
        Ok(())
    }
}

/// Whether a tag's time is over. Its making is told in its maker's local time, which is taken for ours, as in Java.
fn is_over(tag: &Tag, env: &Env) -> bool {
    let (Some(made), Some((seconds, nanos))) = (tag.create_time, tag.time_retained) else { return false };
    let Some(made) = local_millis(made) else { return false };
    let end = env.instant_of_local(made).saturating_add(millis(Duration::new(seconds, nanos)));
    env.now_millis() > end
}

/// A calendar's time as if it were UTC; `None` for a day that no month has.
fn local_millis([year, month, day, hour, minute, second, nanos]: [i32; 7]) -> Option<i64> {
    let small = |number: i32| i8::try_from(number).ok();
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let time = jiff::civil::Time::new(small(hour)?, small(minute)?, small(second)?, nanos).ok()?;
    Some(date.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use futures::future::BoxFuture;

    use super::*;
    use crate::env::Clock;

    /// A wall clock that stands, one hour before UTC.
    struct Standing(AtomicI64);

    impl Clock for Standing {
        fn now_millis(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn local_offset_seconds(&self, _: i64) -> i32 {
            3600
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(async {})
        }
    }

    #[test]
    fn a_tag_is_over_when_its_time_has_passed_by_the_local_clock() {
        // 1970-01-02 in UTC, an hour later in local time.
        let clock = Arc::new(Standing(AtomicI64::new(86_400_000)));
        let env = Env::seeded(1, clock.clone());
        let made = Some([1970, 1, 2, 1, 0, 0, 500_000_000]);
        let snapshot = super::super::tests::snapshot(1);
        let tag = |create_time, time_retained| Tag { snapshot: snapshot.clone(), create_time, time_retained };
        let limited = tag(made, Some((60, 500_000_000)));
        for (now, over) in [(0, false), (86_460_999, false), (86_461_000, false), (86_461_001, true)] {
            clock.0.store(now, Ordering::Relaxed);
            assert_eq!(is_over(&limited, &env), over, "{now}");
        }
        clock.0.store(i64::MAX, Ordering::Relaxed);
        for endless in [tag(None, None), tag(made, None), tag(None, Some((0, 0))), tag(made, Some((u64::MAX, 0)))] {
            assert!(!is_over(&endless, &env), "{endless:?}");
        }
        assert!(!is_over(&tag(Some([1970, 2, 31, 0, 0, 0, 0]), Some((0, 0))), &env), "there is no such day");
    }
}
