//! Files of a web server, read only: `https://host/path`. Files are read by GET with ranges; directories are listed from
//! the links of the page that the server shows for them, else by WebDAV's PROPFIND.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path;
use object_store::{
    ClientConfigKey, CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use url::Url;

use super::options::StoreOptions;
use super::{Opened, percent_decoded, settings};
use crate::error::{Error, Result};
use crate::io::walk::walk;

/// The largest page that is read for its links.
const MAX_PAGE: u64 = 16 << 20;
/// Files whose size is asked for at one time.
const PARALLEL: usize = 8;
/// How long a server may take to be reached, and to show a directory: as for files.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
const READ_ONLY: &str = "files of a web server are only read: there is no create-if-absent";

pub(super) fn open(scheme: &str, authority: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let secrets = StoreOptions::of("HTTP", options, &["http.", "https."])?.finish()?;
    let base = format!("{scheme}://{authority}/");
    let url = Url::parse(&base).map_err(|error| Error::invalid(format!("location {base}: {error}")))?;
    let builder = HttpBuilder::new().with_url(&base);
    let builder = builder.with_config(ClientConfigKey::AllowHttp, (scheme == "http").to_string());
    let files = builder.build().map_err(|error| settings("HTTP", &error, &secrets))?;
    let pages = reqwest::Client::builder().connect_timeout(CONNECT).timeout(ANSWER).build();
    let pages = pages.map_err(|error| Error::invalid(format!("settings of HTTP: {error}")))?;
    let store = WebStore { files: Arc::new(files), pages, base: url };
    Ok(Opened { read_only: Some(READ_ONLY), ..Opened::new(Arc::new(store), secrets, &[]) })
}

/// A web server's files.
#[derive(Debug, Clone)]
struct WebStore {
    files: Arc<HttpStore>,
    pages: reqwest::Client,
    base: Url,
}

impl fmt::Display for WebStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base)
    }
}

fn refused() -> StoreError {
    StoreError::NotSupported { source: READ_ONLY.into() }
}

fn failed(what: String) -> StoreError {
    StoreError::Generic { store: "HTTP", source: what.into() }
}

#[async_trait]
impl ObjectStore for WebStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> StoreResult<PutResult> {
        Err(refused())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        Err(refused())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.files.get_opts(location, options).await
    }

    fn delete_stream(&self, _: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        stream::iter([Err(refused())]).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        walk(Arc::new(self.clone()), prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        match self.page(prefix).await? {
            Page::Missing => Ok(ListResult { common_prefixes: Vec::new(), objects: Vec::new() }),
            Page::Shown(url, text) => self.linked(prefix, &url, &text).await,
            Page::None(why) => match self.files.list_with_delimiter(prefix).await {
                Ok(listed) => Ok(listed),
                Err(error) => Err(failed(format!(
                    "this server lists no directories, neither by pages ({why}) nor by WebDAV ({error})"
                ))),
            },
        }
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> StoreResult<()> {
        Err(refused())
    }
}

/// What a server shows for a directory.
enum Page {
    /// A page, and its own address.
    Shown(Url, String),
    /// There is no such directory.
    Missing,
    /// No page, and why.
    None(String),
}

impl WebStore {
    async fn linked(&self, prefix: Option<&Path>, url: &Url, page: &str) -> StoreResult<ListResult> {
        let mut listed = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        let mut files = Vec::new();
        for (name, is_directory) in links(url, page) {
            let path = prefix.map_or_else(|| Path::parse(&name), |prefix| Path::parse(format!("{prefix}/{name}")));
            match is_directory {
                true => listed.common_prefixes.push(path?),
                false => files.push(path?),
            }
        }
        let asked = stream::iter(files).map(|file| async move { self.files.head(&file).await });
        listed.objects = asked.buffered(PARALLEL).try_collect().await?;
        Ok(listed)
    }

    async fn page(&self, prefix: Option<&Path>) -> StoreResult<Page> {
        let mut url = self.base.clone();
        if let (Some(prefix), Ok(mut segments)) = (prefix, url.path_segments_mut()) {
            segments.pop_if_empty().extend(prefix.parts().map(|part| part.as_ref().to_string())).push("");
        }
        let shown = url.to_string();
        let fail = |error: &dyn fmt::Display| failed(format!("GET {shown}: {error}"));
        let answer = self.pages.get(url).send().await.map_err(|error| fail(&error))?;
        match answer.status().as_u16() {
            404 => return Ok(Page::Missing),
            200 => {}
            status => return Ok(Page::None(format!("GET {shown}: status {status}"))),
        }
        let is_page = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        if !is_page.is_some_and(|kind| kind.starts_with("text/html")) {
            return Ok(Page::None(format!("GET {shown}: no page of links")));
        }
        let url = answer.url().clone();
        let mut page = Vec::new();
        let mut body = answer.bytes_stream();
        while let Some(piece) = body.next().await {
            page.extend_from_slice(&piece.map_err(|error| fail(&error))?);
            if page.len() as u64 > MAX_PAGE {
                return Err(fail(&format!("a directory's page is larger than {MAX_PAGE} bytes")));
            }
        }
        Ok(Page::Shown(url, String::from_utf8_lossy(&page).into_owned()))
    }
}

/// The names that a page at an address links to right below itself, each with whether it is a directory.
fn links(at: &Url, page: &str) -> Vec<(String, bool)> {
    let mut names = BTreeMap::new();
    for (start, _) in page.match_indices("href=") {
        let rest = &page[start + "href=".len()..];
        let Some(quote) = rest.chars().next().filter(|quote| "\"'".contains(*quote)) else { continue };
        let Some((link, _)) = rest[1..].split_once(quote) else { continue };
        let Ok(target) = at.join(&link.replace("&amp;", "&")) else { continue };
        if target.query().is_some() || target.origin() != at.origin() {
            continue; // how the page sorts itself, or another place
        }
        let Some(below) = target.path().strip_prefix(at.path()) else { continue };
        let (name, is_directory) = below.strip_suffix('/').map_or((below, false), |name| (name, true));
        if name.is_empty() || name.contains('/') {
            continue;
        }
        names.insert(percent_decoded(name), is_directory);
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_pages_of_servers() {
        let at = Url::parse("http://h/t/p%3D1/").unwrap();
        let page = "<a href=\"?C=N;O=D\">Name</a> <a href=\"/t/\">up</a> <a href='../'>..</a> <a href=\"bucket-0/\">b</a>\
                    <A href=\"a%2520b%2Cc\">a</A> <a href=\"/t/p%3D1/x.parquet\">x</a> <a href=\"http://other/t/p%3D1/y\">y</a>\
                    <a href=\"deep/er\">d</a> <a href=\"#top\">t</a>";
        let name = |name: &str, is_directory| (name.to_string(), is_directory);
        assert_eq!(links(&at, page), [name("a%20b,c", false), name("bucket-0", true), name("x.parquet", false)]);
    }
}
