//! S3: `s3://bucket/key`. Options of Paimon's S3 file system (`s3.`, `s3a.`, `fs.s3a.`); where they are silent, the
//! `AWS_*` environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};

use super::options::StoreOptions;
use super::{Opened, check_endpoint, check_sendable, environment, is_plain_http, settings};
use crate::error::{Error, Result};
use crate::io::secret::Secret;

/// Settings of Hadoop's client that change neither what is read nor what is written.
const TUNING: [&str; 16] = [
    "impl",
    "attempts.maximum",
    "block.size",
    "buffer.dir",
    "connection.establish.timeout",
    "connection.maximum",
    "connection.timeout",
    "experimental.input.fadvise",
    "fast.upload",
    "fast.upload.active.blocks",
    "fast.upload.buffer",
    "multipart.size",
    "multipart.threshold",
    "readahead.range",
    "retry.limit",
    "threads.max",
];

#[derive(Debug, Default)]
struct Credentials {
    access_key: Option<Secret>,
    secret_key: Option<Secret>,
    session_token: Option<Secret>,
    anonymous: bool,
}

pub(super) fn open(bucket: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let mut options = StoreOptions::of("S3", options, &["s3.", "s3a.", "fs.s3a."])?;
    let endpoint = options.take(&["endpoint"])?.map(str::to_string);
    let region = options.take(&["region", "endpoint.region"])?.map(str::to_string);
    let path_style = options.take_bool(&["path.style.access", "path-style-access"])?;
    let credentials = Credentials {
        access_key: options.take_secret(&["access-key", "access.key"])?,
        secret_key: options.take_secret(&["secret-key", "secret.key"])?,
        session_token: options.take_secret(&["session-token", "session.token"])?,
        anonymous: is_anonymous(options.take(&["aws.credentials.provider"])?)?,
    };
    options.pass_over(&TUNING);
    let secrets = options.finish()?;
    let mut builder = credentials.builder()?.with_bucket_name(bucket);
    if let Some(endpoint) = &endpoint {
        let endpoint = if endpoint.contains("://") { endpoint.clone() } else { format!("https://{endpoint}") };
        let url = check_endpoint("s3.endpoint", &endpoint)?;
        builder = builder.with_allow_http(is_plain_http(&endpoint));
        let (virtual_hosted, address) = match (path_style, endpoint.split_once("://")) {
            // An address of numbers takes no bucket before it.
            (Some(false), Some((scheme, host))) if url.domain().is_some() => {
                (true, format!("{scheme}://{bucket}.{}", host.trim_end_matches('/')))
            }
            _ => (false, endpoint),
        };
        // The environment's AWS_ENDPOINT_URL_S3 would go before an endpoint of the options.
        builder = builder.with_virtual_hosted_style_request(virtual_hosted).with_config(Key::S3Endpoint, &address);
        builder = builder.with_endpoint(address);
    } else if let Some(path_style) = path_style {
        builder = builder.with_virtual_hosted_style_request(!path_style);
    }
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    for (option, key) in [
        ("s3.access-key (AWS_ACCESS_KEY_ID)", Key::AccessKeyId),
        ("s3.session-token (AWS_SESSION_TOKEN)", Key::Token),
        ("s3.region (AWS_REGION)", Key::Region),
        ("s3.region (AWS_DEFAULT_REGION)", Key::DefaultRegion),
    ] {
        check_sendable(option, builder.get_config_value(&key).as_deref())?;
    }
    let endpoints = [Key::S3Endpoint, Key::Endpoint].iter().find_map(|key| builder.get_config_value(key));
    if let Some(endpoint) = endpoints {
        check_endpoint("s3.endpoint (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL)", &endpoint)?;
    }
    let store = builder.build().map_err(|error| settings("S3", &error, &secrets))?;
    Ok(Opened::new(Arc::new(store), secrets, &["AWS_"]).at(endpoint))
}

impl Credentials {
    /// With the credentials of the options, and those of the environment only where the options have none: halves of
    /// two must not meet.
    fn builder(&self) -> Result<AmazonS3Builder> {
        let of_options = match (&self.access_key, &self.secret_key) {
            (Some(access), Some(secret)) => Some((access, secret)),
            (None, None) if self.session_token.is_none() => None,
            (None, None) => return Err(Error::invalid("option s3.session-token goes with s3.access-key")),
            _ => return Err(Error::invalid("options s3.access-key and s3.secret-key go together")),
        };
        if of_options.is_some() && self.anonymous {
            return Err(Error::invalid("options s3.access-key and an anonymous s3.aws.credentials.provider"));
        }
        let mut builder = AmazonS3Builder::new();
        for (name, value) in environment("AWS_") {
            let Ok(key) = name.parse::<Key>() else { continue };
            if !is_credential(&key) || of_options.is_none() && !self.anonymous {
                builder = builder.with_config(key, value);
            }
        }
        if let Some((access, secret)) = of_options {
            builder = builder.with_access_key_id(access.expose()).with_secret_access_key(secret.expose());
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token.expose());
        }
        Ok(if self.anonymous { builder.with_skip_signature(true) } else { builder })
    }
}

fn is_credential(key: &Key) -> bool {
    use Key::*;
    matches!(
        key,
        AccessKeyId
            | SecretAccessKey
            | Token
            | SkipSignature
            | ContainerCredentialsRelativeUri
            | ContainerCredentialsFullUri
            | ContainerAuthorizationTokenFile
            | WebIdentityTokenFile
            | RoleArn
            | RoleSessionName
    )
}

/// The classes of Hadoop that say nothing but "the keys of the options" or "no keys".
fn is_anonymous(provider: Option<&str>) -> Result<bool> {
    let Some(provider) = provider else { return Ok(false) };
    match provider.rsplit('.').next().unwrap_or_default() {
        "AnonymousAWSCredentialsProvider" => Ok(true),
        "SimpleAWSCredentialsProvider" | "TemporaryAWSCredentialsProvider" => Ok(false),
        _ => Err(Error::unsupported(format!("option s3.aws.credentials.provider: {provider:?}"))),
    }
}
