//! Google Cloud Storage: `gs://bucket/key`. Options of Paimon's GCS file system (`gs.`, `fs.gs.`); where they are
//! silent, the `GOOGLE_*` environment, the application default credentials, and the machine's own account.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey as Key};
use object_store::{ClientConfigKey, StaticCredentialProvider};

use super::options::StoreOptions;
use super::{Opened, check_endpoint, environment, is_plain_http, settings};
use crate::error::{Error, Result};

/// Settings of Hadoop's connector that change neither what is read nor what is written.
const TUNING: [&str; 8] = [
    "impl",
    "project.id",
    "application.name.suffix",
    "http.connect-timeout",
    "http.max.retry",
    "http.read-timeout",
    "inputstream.fadvise",
    "outputstream.buffer.size",
];

/// How a request is signed.
enum Auth<'a> {
    /// As the environment says.
    Default,
    /// With the key of a service account, in a file.
    KeyFile(&'a str),
    /// Not at all.
    Anonymous,
}

pub(super) fn open(bucket: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let mut options = StoreOptions::of("Google Cloud Storage", options, &["gs.", "fs.gs."])?;
    let root = options.take(&["storage.root.url"])?.map(|url| url.trim_end_matches('/').to_string());
    let kind = options.take(&["auth.type"])?;
    let auth = auth(kind, options.take(&["auth.service.account.json.keyfile"])?)?;
    options.pass_over(&TUNING);
    let secrets = options.finish()?;
    let mut builder = match auth {
        Auth::Default => GoogleCloudStorageBuilder::from_env(),
        Auth::KeyFile(path) => without_credentials().with_service_account_path(path),
        // The client leaves the signature out of reads alone; an empty token keeps writes from asking for one.
        Auth::Anonymous => without_credentials()
            .with_skip_signature(true)
            .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() }))),
    };
    if let Some(root) = &root {
        builder = builder.with_base_url(root);
        if is_plain_http(root) {
            builder = builder.with_config(Key::Client(ClientConfigKey::AllowHttp), "true");
        }
    }
    if let Some(root) = builder.get_config_value(&Key::BaseUrl) {
        check_endpoint("fs.gs.storage.root.url (GOOGLE_BASE_URL)", &root)?;
    }
    let store = builder.with_bucket_name(bucket).build();
    let store = store.map_err(|error| settings("Google Cloud Storage", &error, &secrets))?;
    Ok(Opened::new(Arc::new(store), secrets, &["GOOGLE_"]).at(root))
}

fn auth<'a>(kind: Option<&str>, key_file: Option<&'a str>) -> Result<Auth<'a>> {
    match (kind.map(str::to_ascii_uppercase).as_deref(), key_file) {
        (None | Some("APPLICATION_DEFAULT"), None) => Ok(Auth::Default),
        (None | Some("SERVICE_ACCOUNT_JSON_KEYFILE"), Some(path)) => Ok(Auth::KeyFile(path)),
        (Some("SERVICE_ACCOUNT_JSON_KEYFILE"), None) => {
            Err(Error::invalid("option fs.gs.auth.type wants fs.gs.auth.service.account.json.keyfile"))
        }
        (Some("UNAUTHENTICATED"), None) => Ok(Auth::Anonymous),
        (Some(kind), Some(_)) => Err(Error::invalid(format!("option fs.gs.auth.type {kind} takes no key file"))),
        (Some(kind), None) => Err(Error::unsupported(format!(
            "option fs.gs.auth.type: {kind:?} (honoured: SERVICE_ACCOUNT_JSON_KEYFILE, APPLICATION_DEFAULT, \
             UNAUTHENTICATED)"
        ))),
    }
}

/// What the environment says of everything else.
fn without_credentials() -> GoogleCloudStorageBuilder {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in environment("GOOGLE_") {
        match name.parse::<Key>() {
            Ok(Key::ServiceAccount | Key::ServiceAccountKey | Key::ApplicationCredentials | Key::SkipSignature) => {}
            Ok(key) => builder = builder.with_config(key, value),
            Err(_) => {}
        }
    }
    builder
}
