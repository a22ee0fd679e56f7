//! Keys that a server refuses are shown by nothing that is printed.

use std::sync::Arc;

use bytes::Bytes;
use forebay::io::{CountingStore, TableStore};
use forebay::{Catalog, Table};

use crate::servers::{Place, Store, place};

/// A key that no server knows; in base64, as Azure wants it.
const CANARY: &str = "Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZQ0E=";
const CANARY_NAME: &str = "CANARYACCESSKEYID";

fn with(place: Place, options: &[(&str, &str)], without: &str) -> Place {
    let mut place = place;
    place.options.retain(|(key, _)| !key.contains(without));
    place.options.extend(options.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())));
    place
}

async fn everything_said(place: &Place) -> String {
    let store = place.open();
    let mut said = format!("{store:?}");
    let mut add = |text: String| said.push_str(&format!("\n{text}"));
    // What wraps a store prints it.
    let mut counting = None;
    let wrapped = store.wrapped(|inner| {
        let wrapper = CountingStore::new(inner);
        counting = Some(wrapper.clone());
        Arc::new(wrapper)
    });
    add(format!("{counting:?} {wrapped:?}"));
    add(format!("{:?}", store.read("a").await.unwrap_err()));
    add(format!("{:?}", store.size("a").await.unwrap_err()));
    add(format!("{:?}", store.list("a").await.unwrap_err()));
    add(format!("{:?}", store.write("a", Bytes::from_static(b"x")).await.unwrap_err()));
    add(format!("{:?}", store.create("a", Bytes::from_static(b"x")).await));
    add(format!("{:?}", store.delete_all(&["a".to_string(), "b".to_string()]).await));
    let mut upload = store.upload("a").unwrap();
    let pushed = upload.push(Bytes::from(vec![0; 11 << 20])).await;
    add(format!("{pushed:?} {upload:?}"));
    let opened = Table::open(&place.location, place.options.clone()).await.map(|_| ());
    add(format!("{opened:?}"));
    let catalog = Catalog::open(&place.location, place.options.clone()).unwrap();
    add(format!("{catalog:?} {:?}", catalog.list_databases().await));
    said
}

fn check(said: &str, words: &[&str]) {
    assert!(said.contains("Storage"), "the server refuses: {said}");
    for word in words {
        assert!(!said.contains(word), "{word} is shown: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_s3_are_not_shown() {
    let keys = [("s3.access-key", CANARY_NAME), ("s3.secret-key", CANARY), ("s3.session-token", "CANARY-token")];
    let said = everything_said(&with(place(Store::Versitygw), &keys, "-key")).await;
    check(&said, &["CANARY", CANARY]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_signatures_of_azure_are_not_shown() {
    let bytes = "81, 48, 70, 79"; // the key as a list of numbers
    let decoded = "67, 65, 78, 65, 82, 89";
    let said = everything_said(&with(place(Store::Azurite), &[("fs.azure.account.key", CANARY)], "account.key")).await;
    check(&said, &["CANARY", CANARY, bytes, decoded]);
    let signature = "sv=2023-11-03&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&sig=CANARYsig%2Fabc%3D";
    let said =
        everything_said(&with(place(Store::Azurite), &[("fs.azure.sas.fixed.token", signature)], "account.key")).await;
    check(&said, &["CANARY"]);
}

#[test]
fn a_store_prints_its_place_alone() {
    for store in [Store::Moto, Store::Azurite, Store::Gcs] {
        let place = place(store);
        let opened: TableStore = place.open();
        assert_eq!(format!("{opened:?}"), format!("TableStore({})", place.location));
    }
}
