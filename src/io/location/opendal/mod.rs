//! The services that only opendal speaks with: Aliyun OSS, Tencent COS, Huawei OBS, and HDFS by HTTP. Each is a feature of
//! this crate. Options are those of Paimon's file systems; credentials may come from each cloud's usual environment.

mod names;

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store_opendal::OpendalStore;
use opendal::{Builder, Operator};

use self::names::PlainNames;
use super::Opened;
use super::options::StoreOptions;
use crate::error::{Error, Result};
use crate::io::secret::{Secret, Secrets};

/// `oss://bucket/key`, with `fs.oss.` options.
#[cfg(feature = "oss")]
pub(super) fn oss(bucket: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let mut options = StoreOptions::of("Aliyun OSS", options, &["fs.oss."])?;
    let endpoint = required(options.take(&["endpoint"])?, "fs.oss.endpoint")?;
    let mut builder = opendal::services::Oss::default().bucket(bucket).endpoint(&endpoint);
    let keys = (options.take_secret(&["accesskeyid"])?, options.take_secret(&["accesskeysecret"])?);
    if let Some((id, secret)) = pair(keys, "fs.oss.accessKeyId and fs.oss.accessKeySecret")? {
        builder = builder.access_key_id(id.expose()).access_key_secret(secret.expose());
    }
    if let Some(token) = options.take_secret(&["securitytoken"])? {
        builder = builder.security_token(token.expose());
    }
    options.pass_over(&[
        "impl",
        "connection.maximum",
        "attempts.maximum",
        "connection.timeout",
        "multipart.download.size",
    ]);
    opened("Aliyun OSS", builder, options.finish()?, &["ALIBABA_CLOUD_", "OSS_"], endpoint)
}

/// `cosn://bucket/key`, with `fs.cosn.` options.
#[cfg(feature = "cos")]
pub(super) fn cos(bucket: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let mut options = StoreOptions::of("Tencent COS", options, &["fs.cosn."])?;
    let region = options.take(&["bucket.region", "userinfo.region"])?;
    let suffix = options.take(&["bucket.endpoint_suffix"])?;
    let host = match (suffix, region) {
        (Some(suffix), _) => Some(suffix.trim_start_matches('.').to_string()),
        (None, Some(region)) => Some(format!("cos.{region}.myqcloud.com")),
        (None, None) => None,
    };
    let endpoint = required(host.as_deref(), "fs.cosn.bucket.region")?;
    let mut builder = opendal::services::Cos::default().bucket(bucket).endpoint(&endpoint);
    let keys = (options.take_secret(&["userinfo.secretid"])?, options.take_secret(&["userinfo.secretkey"])?);
    if let Some((id, secret)) = pair(keys, "fs.cosn.userinfo.secretId and fs.cosn.userinfo.secretKey")? {
        builder = builder.secret_id(id.expose()).secret_key(secret.expose());
    }
    if let Some(token) = options.take_secret(&["userinfo.sessiontoken"])? {
        builder = builder.security_token(token.expose());
    }
    options.pass_over(&["impl", "upload.buffer", "upload.buffer.size", "upload.part.size", "block.size", "maxretries"]);
    opened("Tencent COS", builder, options.finish()?, &["TENCENTCLOUD_", "TKE_", "COS_"], endpoint)
}

/// `obs://bucket/key`, with `fs.obs.` options. It cannot be written to: the service has no create-if-absent.
#[cfg(feature = "obs")]
pub(super) fn obs(bucket: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let mut options = StoreOptions::of("Huawei OBS", options, &["fs.obs."])?;
    let endpoint = required(options.take(&["endpoint"])?, "fs.obs.endpoint")?;
    let mut builder = opendal::services::Obs::default().bucket(bucket).endpoint(&endpoint);
    let keys = (options.take_secret(&["access.key"])?, options.take_secret(&["secret.key"])?);
    if let Some((id, secret)) = pair(keys, "fs.obs.access.key and fs.obs.secret.key")? {
        builder = builder.access_key_id(id.expose()).secret_access_key(secret.expose());
    }
    options.pass_over(&["impl", "connection.maximum", "attempts.maximum", "multipart.size", "threads.max"]);
    let opened = opened("Huawei OBS", builder, options.finish()?, &["HUAWEI_CLOUD_", "OBS_"], endpoint)?;
    let why = "Huawei OBS has no create-if-absent, so two writers could overwrite each other's commits";
    Ok(Opened { read_only: Some(why), ..opened })
}

/// `webhdfs://host:port/path`, `swebhdfs://` with TLS. It cannot be written to: the protocol has no create-if-absent that
/// is seen whole or not at all.
#[cfg(feature = "webhdfs")]
pub(super) fn webhdfs(tls: bool, authority: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let options = StoreOptions::of("webhdfs", options, &["fs.webhdfs.", "fs.swebhdfs."])?;
    let endpoint = format!("{}://{authority}", if tls { "https" } else { "http" });
    let mut builder = opendal::services::Webhdfs::default().endpoint(&endpoint);
    if let Ok(user) = std::env::var("HADOOP_USER_NAME") {
        builder = builder.user_name(&user);
    }
    let opened = opened("webhdfs", builder, options.finish()?, &[], endpoint)?;
    let why = "webhdfs has no create-if-absent, so two writers could overwrite each other's commits; write by hdfs://";
    Ok(Opened { walked: true, read_only: Some(why), ..opened })
}

#[cfg(any(feature = "oss", feature = "cos", feature = "obs"))]
fn required(value: Option<&str>, option: &str) -> Result<String> {
    match value.filter(|value| !value.is_empty()) {
        None => Err(Error::invalid(format!("option {option} is missing"))),
        Some(endpoint) if endpoint.contains("://") => Ok(endpoint.to_string()),
        Some(host) => Ok(format!("https://{host}")),
    }
}

#[cfg(any(feature = "oss", feature = "cos", feature = "obs"))]
fn pair(keys: (Option<Secret>, Option<Secret>), names: &str) -> Result<Option<(Secret, Secret)>> {
    match keys {
        (Some(id), Some(secret)) => Ok(Some((id, secret))),
        (None, None) => Ok(None),
        _ => Err(Error::invalid(format!("options {names} go together"))),
    }
}

fn opened(name: &str, builder: impl Builder, secrets: Vec<Secret>, environment: &[&str], at: String) -> Result<Opened> {
    install_transport();
    let operator = Operator::new(builder).map_err(|error| {
        let words = Secrets::gather(&secrets, environment).scrub(&error.to_string());
        Error::invalid(format!("settings of {name}: {words}"))
    })?;
    let operator = operator.layer(opendal::layers::RetryLayer::new().with_jitter());
    let store: Arc<dyn ObjectStore> = Arc::new(PlainNames(OpendalStore::new(operator)));
    Ok(Opened::new(store, secrets, environment).at(Some(at)))
}

/// The client that opendal speaks HTTP with, and the cryptography of its TLS: the same as object_store's.
fn install_transport() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // Somebody else may have chosen before: then theirs is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        opendal_http_transport_reqwest::install_default();
    });
}
