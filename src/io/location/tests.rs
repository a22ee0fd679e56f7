//! Options of every service: honoured, or refused by name; secrets stay hidden; what is only read is not written to.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::io::{Created, TableStore};

const AZURE: &str = "abfss://c@account.dfs.core.windows.net/t";
const KEY: &str = "Q0FOQVJZ";

fn open(location: &str, options: &[(&str, &str)]) -> Result<TableStore> {
    let options: BTreeMap<String, String> =
        options.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
    open_location(location, &options, &Env::system())
}

/// Clients take for granted what is checked here, and panic.
#[test]
fn addresses_and_keys_that_cannot_be_sent_are_refused() {
    for endpoint in [
        "not a url",
        "http://host:99999",
        "://x",
        "http://[::1",
        "http://a b",
        "http://",
        "http://999.1.1.1",
        "https://h\u{f6}st",
        "https://host/a b",
        "http://user:hunter2@host:99999",
    ] {
        for style in ["true", "false"] {
            let options = [("s3.endpoint", endpoint), ("s3.path.style.access", style)];
            let error = open("s3://b/t", &options).expect_err(endpoint);
            assert!(matches!(&error, Error::Invalid(text) if text.contains("s3.endpoint")), "{endpoint}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let options = [("fs.gs.auth.type", "UNAUTHENTICATED"), ("fs.gs.storage.root.url", endpoint)];
        let error = open("gs://b/t", &options).expect_err(endpoint);
        assert!(matches!(&error, Error::Invalid(text) if text.contains("storage.root.url")), "{endpoint}: {error}");
    }
    for (key, region) in [("K\nEY", "r"), ("KEY", "r\ns")] {
        let options = [("s3.access-key", key), ("s3.secret-key", "S"), ("s3.region", region)];
        let error = open("s3://b/t", &options).unwrap_err().to_string();
        assert!(error.contains("line break") && !error.contains("nEY"), "{error}");
    }
    for endpoint in ["http://127.0.0.1:1", "http://[::1]:1"] {
        open("s3://b/t", &[("s3.endpoint", endpoint), ("s3.path.style.access", "false")]).unwrap();
    }
}

#[test]
fn options_of_a_service_are_honoured_under_every_name_of_theirs() {
    let fine: [(&str, &[(&str, &str)]); 14] = [
        ("s3://b/t", &[("s3.endpoint", "http://h:1"), ("s3.path.style.access", "TRUE"), ("s3.region", "r")]),
        ("s3a://b/t", &[("fs.s3a.access.key", "a"), ("fs.s3a.secret.key", "b"), ("fs.s3a.connection.maximum", "1000")]),
        ("s3://b/t", &[("s3.access-key", "a"), ("s3a.access.key", "a"), ("s3.secret-key", "b")]),
        (
            "s3://b/t",
            &[("fs.s3a.aws.credentials.provider", "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider")],
        ),
        (
            "gs://b/t",
            &[("fs.gs.auth.type", "UNAUTHENTICATED"), ("gs.storage.root.url", "http://h:1"), ("gs.project.id", "p")],
        ),
        (AZURE, &[("fs.azure.account.key.account.dfs.core.windows.net", KEY)]),
        (AZURE, &[("fs.azure.account.key.Account.blob.core.windows.net", KEY)]),
        // Another account's key may stand beside.
        (AZURE, &[("azure.account.key", KEY), ("fs.azure.account.key.other.dfs.core.windows.net", "x")]),
        (AZURE, &[("fs.azure.sas.fixed.token", "?sv=1&sig=abc%3D"), ("fs.azure.account.auth.type", "SAS")]),
        (
            "wasbs://c@account.blob.core.windows.net/t",
            &[("fs.azure.sas.c.account.blob.core.windows.net", "sv=1&sig=a")],
        ),
        (
            AZURE,
            &[
                ("fs.azure.account.auth.type.account.dfs.core.windows.net", "OAuth"),
                (
                    "fs.azure.account.oauth.provider.type.account.dfs.core.windows.net",
                    "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider",
                ),
                ("fs.azure.account.oauth2.client.id", "id"),
                ("fs.azure.account.oauth2.client.secret", "secret"),
                ("fs.azure.account.oauth2.client.endpoint", "https://login.microsoftonline.com/tenant/oauth2/token"),
            ],
        ),
        (
            AZURE,
            &[
                ("fs.azure.account.oauth.provider.type", "x.MsiTokenProvider"),
                ("fs.azure.account.oauth2.client.id", "id"),
            ],
        ),
        ("https://h/t", &[]),
        // Options of other stores and of tables are not this store's.
        ("gs://b/t", &[("fs.gs.auth.type", "UNAUTHENTICATED"), ("s3.colour", "red"), ("bucket", "4")]),
    ];
    for (location, options) in fine {
        let store = open(location, options).unwrap_or_else(|error| panic!("{location} {options:?}: {error}"));
        assert_eq!(store.location(), location);
    }
}

#[test]
fn an_option_that_is_not_honoured_is_refused_by_name() {
    type Given<'a> = &'a [(&'a str, &'a str)];
    let wrong: [(&str, Given<'_>, &str); 17] = [
        ("s3://b/t", &[("s3.colour", "red")], "s3.colour"),
        ("s3://b/t", &[("fs.s3a.encryption.algorithm", "SSE-KMS")], "fs.s3a.encryption.algorithm"),
        ("s3://b/t", &[("s3.access-key", "a")], "go together"),
        ("s3://b/t", &[("s3.session-token", "a")], "s3.session-token"),
        ("s3://b/t", &[("s3.endpoint", "h"), ("fs.s3a.endpoint", "other")], "fs.s3a.endpoint"),
        ("s3://b/t", &[("s3.path-style-access", "perhaps")], "path"),
        ("s3://b/t", &[("s3.aws.credentials.provider", "my.Provider")], "my.Provider"),
        ("gs://b/t", &[("fs.gs.encryption.key", "x")], "fs.gs.encryption.key"),
        ("gs://b/t", &[("fs.gs.auth.type", "ACCESS_TOKEN_PROVIDER")], "ACCESS_TOKEN_PROVIDER"),
        ("gs://b/t", &[("fs.gs.auth.type", "SERVICE_ACCOUNT_JSON_KEYFILE")], "keyfile"),
        ("gs://b/t", &[("fs.gs.auth.service.account.json.keyfile", "/no/such/file")], "Google"),
        (AZURE, &[("fs.azure.account.keyprovider.account.dfs.core.windows.net", "x")], "keyprovider"),
        (AZURE, &[("fs.azure.account.auth.type", "Custom")], "custom"),
        (AZURE, &[("fs.azure.account.auth.type", "SharedKey")], "fs.azure.account.key"),
        (AZURE, &[("fs.azure.account.oauth2.client.id", "id")], "go together"),
        (AZURE, &[("azure.sas.token.provider.type", "x")], "azure.sas.token.provider.type"),
        ("https://h/t", &[("http.proxy", "x")], "http.proxy"),
    ];
    for (location, options, word) in wrong {
        let error = open(location, options).unwrap_err();
        assert!(error.to_string().contains(word), "{location} {options:?}: {error}");
    }
}

#[test]
fn secrets_are_in_no_text_of_a_store_or_its_errors() {
    let canaries: [(&str, &[(&str, &str)]); 6] = [
        ("s3://b/t", &[("s3.access-key", "CANARY1"), ("s3.secret-key", "CANARY2"), ("s3.session-token", "CANARY3")]),
        ("s3://b/t", &[("s3.access-key", "CANARY1"), ("s3.secret-key", "CANARY2"), ("s3.colour", "CANARY4")]),
        ("s3://b/t", &[("s3.access-key", "CANARY1")]),
        (AZURE, &[("fs.azure.account.key", "CANARY is no base64!")]),
        (AZURE, &[("fs.azure.sas.fixed.token", "CANARY without pairs")]),
        (AZURE, &[("fs.azure.account.oauth2.client.secret", "CANARY5")]),
    ];
    for (location, options) in canaries {
        let said = match open(location, options) {
            Ok(store) => format!("{store:?} {:?}", store.object("x")),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!said.contains("CANARY"), "{said}");
    }
    let map = BTreeMap::from([("s3.secret-key".to_string(), "CANARY".to_string())]);
    let options = options::StoreOptions::of("S3", &map, &["s3."]).unwrap();
    assert!(!format!("{options:?}").contains("CANARY"));
}

#[tokio::test]
async fn a_store_that_is_only_read_refuses_every_write_before_a_request() {
    // Nothing listens there: a request would be tried again and again.
    let store = open("http://127.0.0.1:1/t", &[]).unwrap();
    let bytes = Bytes::from_static(b"x");
    let refused =
        |error: Error| assert!(matches!(&error, Error::Unsupported(words) if words.contains("http://")), "{error}");
    refused(store.write("a", bytes.clone()).await.unwrap_err());
    refused(store.replace("a", bytes.clone()).await.unwrap_err());
    refused(store.replace_hint("a", bytes.clone()).await.unwrap_err());
    refused(store.create("a", bytes.clone()).await.map(|created: Created| created).unwrap_err());
    refused(store.upload("a").unwrap_err());
    refused(store.delete("a").await.unwrap_err());
    refused(store.delete_dir("a").await.unwrap_err());
    refused(store.create_dir("a").await.unwrap_err());
    refused(store.require_writable().unwrap_err());
    refused(store.require_conditional_create().await.unwrap_err());
    for (_, error) in store.delete_all(&["a".to_string(), "b".to_string()]).await {
        refused(error);
    }
}

#[test]
#[cfg(not(feature = "oss"))]
fn a_service_that_the_build_leaves_out_is_named_with_its_feature() {
    let error = open("oss://b/t", &[]).unwrap_err();
    assert!(
        matches!(&error, Error::Unsupported(words) if words.contains("oss") && words.contains("feature")),
        "{error}"
    );
}

#[test]
#[cfg(all(feature = "oss", feature = "cos", feature = "obs", feature = "webhdfs"))]
fn services_behind_opendal_take_paimons_options() {
    let oss: &[(&str, &str)] = &[
        ("fs.oss.endpoint", "oss-cn-hangzhou.aliyuncs.com"),
        ("fs.oss.accessKeyId", "CANARY1"),
        ("fs.oss.accessKeySecret", "CANARY2"),
    ];
    let cos: &[(&str, &str)] = &[
        ("fs.cosn.bucket.region", "ap-x"),
        ("fs.cosn.userinfo.secretId", "CANARY1"),
        ("fs.cosn.userinfo.secretKey", "CANARY2"),
    ];
    let obs: &[(&str, &str)] = &[
        ("fs.obs.endpoint", "obs.cn-north-4.myhuaweicloud.com"),
        ("fs.obs.access.key", "CANARY1"),
        ("fs.obs.secret.key", "CANARY2"),
    ];
    for (location, options, writable) in [
        ("oss://b/t", oss, true),
        ("cosn://b/t", cos, true),
        ("obs://b/t", obs, false),
        ("webhdfs://h:1/t", &[], false),
    ] {
        let store = open(location, options).unwrap();
        assert_eq!(store.require_writable().is_ok(), writable, "{location}");
        assert!(!format!("{store:?} {:?}", store.object("x")).contains("CANARY"));
    }
    for (location, option) in [
        ("oss://b/t", "fs.oss.server-side-encryption"),
        ("cosn://b/t", "fs.cosn.colour"),
        ("obs://b/t", "fs.obs.session.token"),
        ("webhdfs://h/t", "fs.webhdfs.colour"),
    ] {
        let mut options = [oss, cos, obs].concat();
        options.push((option, "CANARY"));
        let error = open(location, &options).unwrap_err().to_string();
        assert!(error.contains(option) && !error.contains("CANARY"), "{error}");
    }
    assert!(open("oss://b/t", &[]).unwrap_err().to_string().contains("fs.oss.endpoint"));
}
