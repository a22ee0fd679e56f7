//! Tags, branches and consumers.

use forebay::scan::At;
use forebay::schema::parse_duration;
use forebay::{Error, TableName};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Service;
use crate::answer::{Refusal, Resource};
use crate::routes::{Answer, Asked};
use crate::tables::{find, history, refused};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateTag {
    tag_name: String,
    snapshot_id: Option<i64>,
    time_retained: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateBranch {
    branch: String,
    from_tag: Option<String>,
}

/// A page of names.
pub async fn list(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let mut names = history(service, name).await?.tags.list().await.map_err(refused(name))?;
    if let Some(prefix) = asked.query("tagNamePrefix") {
        let prefix = prefix.trim_end_matches('%');
        names.retain(|tag| tag.starts_with(prefix));
    }
    let (tags, next) = asked.page(names, "")?;
    Ok(json!({"tags": tags, "nextPageToken": next}))
}

/// Makes one, of the newest snapshot unless told otherwise.
pub async fn create(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let told: CreateTag = asked.body()?;
    let table = service.catalog.table(name).await.map_err(refused(name))?;
    let kept = told.time_retained.as_deref().map(parse_duration).transpose();
    let kept = kept.map_err(|error| Refusal::wrong(format!("timeRetained: {error}")))?;
    let at = told.snapshot_id.map_or(At::Latest, At::Snapshot);
    match table.create_tag(&told.tag_name, &at, kept).await {
        Ok(_) => Ok(json!({})),
        Err(error @ Error::NotFound(_)) => {
            let snapshot = told.snapshot_id.map_or("LATEST".to_string(), |id| id.to_string());
            Err(Refusal::of(error, Resource::Snapshot, &snapshot))
        }
        Err(error) => Err(Refusal::of(error, Resource::Tag, &told.tag_name)),
    }
}

/// One of them.
pub async fn get(service: &Service, name: &TableName, tag: &str) -> Answer {
    let history = history(service, name).await?;
    let found = history.tags.load(tag).await.map_err(|error| Refusal::of(error, Resource::Tag, tag))?;
    let created =
        found.create_time.and_then(|time| millis(&time)).map(|local| history.store.env().instant_of_local(local));
    let kept = found.time_retained.map(|(seconds, nanos)| match nanos {
        0 => format!("PT{seconds}S"),
        nanos => format!("PT{seconds}.{nanos:09}S"),
    });
    Ok(json!({"tagName": tag, "snapshot": found.snapshot, "tagCreateTime": created, "tagTimeRetained": kept}))
}

/// A calendar time as milliseconds, as if it were UTC.
fn millis(time: &[i32; 7]) -> Option<i64> {
    let [year, month, day, hour, minute, second, nanos] = time.map(i64::from);
    // Days by the calendar whose year begins in March, so that the leap day is the last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5;
    let seconds = (days + day - 1 - 719_468) * 86_400 + hour * 3600 + minute * 60 + second;
    seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000)
}

/// Deletes one.
pub async fn delete(service: &Service, name: &TableName, tag: &str) -> Answer {
    let table = service.catalog.table(name).await.map_err(refused(name))?;
    table.delete_tag(tag).await.map_err(|error| Refusal::of(error, Resource::Tag, tag))?;
    Ok(json!({}))
}

/// All of them.
pub async fn list_branches(service: &Service, name: &TableName) -> Answer {
    let branches = history(service, name).await?.branches.list().await.map_err(refused(name))?;
    Ok(json!({"branches": branches}))
}

/// Makes one, empty or from a tag.
pub async fn create_branch(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let told: CreateBranch = asked.body()?;
    let table = service.catalog.table(name).await.map_err(refused(name))?;
    match table.create_branch(&told.branch, told.from_tag.as_deref()).await {
        Ok(_) => Ok(json!({})),
        Err(error @ Error::NotFound(_)) => Err(Refusal::of(error, Resource::Tag, &told.from_tag.unwrap_or_default())),
        Err(error) => Err(Refusal::of(error, Resource::Branch, &told.branch)),
    }
}

/// Deletes one.
pub async fn delete_branch(service: &Service, name: &TableName, branch: &str) -> Answer {
    let table = service.catalog.table(name).await.map_err(refused(name))?;
    table.delete_branch(branch).await.map_err(|error| Refusal::of(error, Resource::Branch, branch))?;
    Ok(json!({}))
}

/// A page of consumers with the snapshot each reads next.
pub async fn list_consumers(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let found = find(service, name).await?;
    let consumers = found.history.consumers.list().await.map_err(refused(name))?;
    let (names, next) = asked.page(consumers.iter().map(|(id, _)| id.clone()).collect(), "")?;
    let page = consumers.iter().filter(|(id, _)| names.contains(id));
    let page: Vec<Value> = page.map(|(id, next)| json!({"consumerId": id, "nextSnapshot": next})).collect();
    Ok(json!({"consumers": page, "nextPageToken": next}))
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn a_calendar_time_counts_from_1970() {
        assert_eq!(millis(&[1970, 1, 1, 0, 0, 0, 0]), Some(0));
        assert_eq!(millis(&[2024, 2, 29, 12, 30, 15, 7_000_000]), Some(1_709_209_815_007));
        assert_eq!(millis(&[1969, 12, 31, 23, 59, 59, 0]), Some(-1000));
    }
}
