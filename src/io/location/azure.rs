//! Azure: `abfs[s]://container@account.dfs.core.windows.net/path` and `wasb[s]://container@account.blob.core.windows.net/path`,
//! both by the blob endpoint of the account, over TLS. Options of Paimon's Azure file system (`azure.`, `fs.azure.`,
//! `fs.wasb.`); where they have no credentials, the `AZURE_*` environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::azure::{AzureConfigKey as Key, MicrosoftAzureBuilder};

use super::options::StoreOptions;
use super::{Opened, environment, is_plain_http, settings};
use crate::error::{Error, Result};
use crate::io::secret::Secret;

/// Settings of Hadoop's client that change neither what is read nor what is written.
const TUNING: [&str; 8] = [
    "always.use.https",
    "io.retry.max.retries",
    "read.request.size",
    "write.request.size",
    "block.size",
    "readaheadqueue.depth",
    "enable.flush",
    "secure.mode",
];

/// Files of one request to delete.
const BATCH: usize = 256;

/// A container of an account.
struct Account<'a> {
    container: &'a str,
    name: &'a str,
    /// What stands behind `account.dfs.` or `account.blob.`.
    domain: &'a str,
}

impl<'a> Account<'a> {
    fn parse(authority: &'a str) -> Result<Self> {
        let parts = authority.split_once('@').and_then(|(container, host)| {
            let (name, rest) = host.split_once('.')?;
            let domain = rest.strip_prefix("dfs.").or_else(|| rest.strip_prefix("blob."))?;
            Some(Self { container, name, domain })
        });
        parts.filter(|parts| !parts.name.is_empty() && !parts.domain.is_empty()).ok_or_else(|| {
            Error::invalid(format!(
                "{authority:?}: an Azure location is written abfss://container@account.dfs.core.windows.net/path"
            ))
        })
    }

    /// The endpoint of blobs.
    fn endpoint(&self) -> String {
        format!("https://{}.blob.{}", self.name, self.domain)
    }

    /// An option that may have the account's host behind its name; those of other accounts are passed over.
    fn names(&self, option: &str) -> [String; 2] {
        ["dfs", "blob"].map(|kind| format!("{option}.{}.{kind}.{}", self.name, self.domain).to_ascii_lowercase())
    }

    fn take<'b>(&self, options: &mut StoreOptions<'b>, option: &str) -> Result<Option<&'b str>> {
        let [dfs, blob] = self.names(option);
        let own = options.take(&[&dfs, &blob])?;
        let general = options.take(&[option])?;
        options.pass_over_hosts(option);
        Ok(own.or(general))
    }

    fn take_secret(&self, options: &mut StoreOptions<'_>, option: &str) -> Result<Option<Secret>> {
        let [dfs, blob] = self.names(option);
        let own = options.take_secret(&[&dfs, &blob])?;
        let general = options.take_secret(&[option])?;
        options.pass_over_hosts(option);
        Ok(own.or(general))
    }
}

/// Who asks, as the options say.
enum Auth {
    /// The environment tells.
    Environment,
    Key(Secret),
    Signature(Secret),
    Client {
        id: String,
        secret: Secret,
        authority: String,
        tenant: String,
    },
    Machine {
        id: Option<String>,
        endpoint: Option<String>,
    },
    Workload {
        id: String,
        file: String,
        tenant: String,
    },
}

pub(super) fn open(authority: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    let account = Account::parse(authority)?;
    let mut options = StoreOptions::of("Azure", options, &["azure.", "fs.azure.", "fs.wasb."])?;
    let auth = auth(&account, &mut options)?;
    let endpoint = options.take(&["endpoint"])?.map(str::to_string);
    options.pass_over(&TUNING);
    let secrets = options.finish()?;
    let mut builder = MicrosoftAzureBuilder::new();
    let mut told = None;
    // The machine's own account is asked where IDENTITY_ENDPOINT says.
    let variables = environment("AZURE_").chain(environment("IDENTITY_ENDPOINT"));
    for (name, value) in variables {
        let Ok(key) = name.parse::<Key>() else { continue };
        match key {
            Key::Endpoint => told = Some(value),
            key if is_credential(&key) && !matches!(auth, Auth::Environment) => {}
            key => builder = builder.with_config(key, value),
        }
    }
    let at = endpoint.or(told).unwrap_or_else(|| account.endpoint());
    builder = builder.with_account(account.name).with_container_name(account.container);
    builder = builder.with_allow_http(is_plain_http(&at)).with_endpoint(at.clone());
    let store = auth.sign(builder).build().map_err(|error| settings("Azure", &error, &secrets))?;
    let opened = Opened::new(Arc::new(store), secrets, &["AZURE_"]).at(Some(at));
    Ok(Opened { deletes_at_once: BATCH, ..opened })
}

fn auth(account: &Account<'_>, options: &mut StoreOptions<'_>) -> Result<Auth> {
    let kind = account.take(options, "account.auth.type")?;
    let key = account.take_secret(options, "account.key")?;
    let named = format!("sas.{}.{}.blob.{}", account.container, account.name, account.domain).to_ascii_lowercase();
    let signature = options.take_secret(&[&named])?.or(account.take_secret(options, "sas.fixed.token")?);
    let token = oauth(account, options)?;
    let missing = |what: &str| Err(Error::invalid(format!("option fs.azure.account.auth.type wants {what}")));
    match (kind.map(str::to_ascii_lowercase).as_deref(), key, signature, token) {
        (None, Some(key), _, _) | (Some("sharedkey"), Some(key), _, _) => Ok(Auth::Key(key)),
        (None, None, Some(signature), _) | (Some("sas"), _, Some(signature), _) => Ok(Auth::Signature(signature)),
        (None, None, None, Some(token)) | (Some("oauth"), _, _, Some(token)) => Ok(token),
        (None, None, None, None) => Ok(Auth::Environment),
        (Some("sharedkey"), ..) => missing("fs.azure.account.key"),
        (Some("sas"), ..) => missing("fs.azure.sas.fixed.token"),
        (Some("oauth"), ..) => missing("fs.azure.account.oauth2.client.id, .secret and .endpoint"),
        (Some(kind), ..) => Err(Error::unsupported(format!(
            "option fs.azure.account.auth.type: {kind:?} (honoured: SharedKey, SAS, OAuth)"
        ))),
    }
}

/// The tokens that Hadoop's classes fetch.
fn oauth(account: &Account<'_>, options: &mut StoreOptions<'_>) -> Result<Option<Auth>> {
    let provider = account.take(options, "account.oauth.provider.type")?;
    let id = account.take(options, "account.oauth2.client.id")?.map(str::to_string);
    let secret = account.take_secret(options, "account.oauth2.client.secret")?;
    let endpoint = account.take(options, "account.oauth2.client.endpoint")?;
    let tenant = account.take(options, "account.oauth2.msi.tenant")?.map(str::to_string);
    let machine = account.take(options, "account.oauth2.msi.endpoint")?.map(str::to_string);
    let file = account.take(options, "account.oauth2.token.file")?.map(str::to_string);
    match (provider.and_then(|class| class.rsplit('.').next()), id, secret, endpoint) {
        (None | Some("ClientCredsTokenProvider"), Some(id), Some(secret), Some(endpoint)) => {
            let (authority, tenant) = authority_and_tenant(endpoint)?;
            Ok(Some(Auth::Client { id, secret, authority, tenant }))
        }
        (None, None, None, None) => Ok(None),
        (Some("MsiTokenProvider"), id, None, None) => Ok(Some(Auth::Machine { id, endpoint: machine })),
        (Some("WorkloadIdentityTokenProvider"), Some(id), None, None) => match (file, tenant) {
            (Some(file), Some(tenant)) => Ok(Some(Auth::Workload { id, file, tenant })),
            _ => Err(Error::invalid("a workload identity wants account.oauth2.token.file and .msi.tenant")),
        },
        (None | Some("ClientCredsTokenProvider"), ..) => {
            Err(Error::invalid("options fs.azure.account.oauth2.client.id, .secret and .endpoint go together"))
        }
        (Some(class), ..) => {
            Err(Error::unsupported(format!("option fs.azure.account.oauth.provider.type {class:?} with these options")))
        }
    }
}

/// Of `https://login.microsoftonline.com/TENANT/oauth2/token`.
fn authority_and_tenant(endpoint: &str) -> Result<(String, String)> {
    let parts = url::Url::parse(endpoint).ok().and_then(|url| {
        let tenant = url.path_segments()?.next().filter(|tenant| !tenant.is_empty())?.to_string();
        Some((url.origin().ascii_serialization(), tenant))
    });
    parts.ok_or_else(|| {
        Error::invalid("option fs.azure.account.oauth2.client.endpoint is written https://host/tenant/oauth2/token")
    })
}

impl Auth {
    fn sign(self, builder: MicrosoftAzureBuilder) -> MicrosoftAzureBuilder {
        match self {
            Self::Environment => builder,
            Self::Key(key) => builder.with_access_key(key.expose()),
            Self::Signature(token) => builder.with_config(Key::SasKey, token.expose().trim_start_matches('?')),
            Self::Client { id, secret, authority, tenant } => {
                builder.with_client_secret_authorization(id, secret.expose(), tenant).with_authority_host(authority)
            }
            Self::Machine { id, endpoint } => {
                let builder = id.into_iter().fold(builder, MicrosoftAzureBuilder::with_client_id);
                endpoint.into_iter().fold(builder, MicrosoftAzureBuilder::with_msi_endpoint)
            }
            Self::Workload { id, file, tenant } => {
                builder.with_client_id(id).with_tenant_id(tenant).with_federated_token_file(file)
            }
        }
    }
}

fn is_credential(key: &Key) -> bool {
    use Key::*;
    matches!(
        key,
        AccessKey
            | ClientId
            | ClientSecret
            | AuthorityId
            | AuthorityHost
            | SasKey
            | Token
            | MsiEndpoint
            | ObjectId
            | MsiResourceId
            | FederatedTokenFile
            | UseAzureCli
            | SkipSignature
            | FabricTokenServiceUrl
            | FabricWorkloadHost
            | FabricSessionToken
            | FabricClusterIdentifier
    )
}
