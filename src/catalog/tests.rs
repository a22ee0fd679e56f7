//! Tests of databases and tables on disk and in memory, and of hostile names.

use bytes::Bytes;

use super::*;
use crate::format::View;
use crate::history::Schemas;
use crate::types::DataType;

fn schema() -> Schema {
    Schema::builder().column("id", DataType::BIGINT).build().unwrap()
}

fn name(text: &str) -> TableName {
    text.parse().unwrap()
}

fn stores() -> (tempfile::TempDir, [TableStore; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let env = Env::system();
    let local = TableStore::local(directory.path(), &env).unwrap();
    (directory, [local, TableStore::memory(&env)])
}

fn catalogs() -> (tempfile::TempDir, [Catalog; 2]) {
    let (directory, stores) = stores();
    (directory, stores.map(Catalog::of))
}

#[test]
fn hostile_names_are_refused() {
    for text in [
        "",
        "t",
        ".",
        "..",
        "db.",
        ".t",
        "db..t",
        "../x.t",
        "db.../x",
        "db.a/b",
        "db.a\\b",
        "db.t$files",
        "db.t@1",
        "a.b.c",
        "db.a\nb",
        "db. t",
        "db.t ",
        "db. ",
    ] {
        assert!(matches!(text.parse::<TableName>(), Err(Error::Invalid(_))), "{text:?}");
    }
    assert_eq!(name("shop.orders_2").to_string(), "shop.orders_2");
    assert_eq!(name("läden.日本").table(), "日本");
}

/// Of those that ask at once one gets a name: of a database, and of a table or a view.
#[tokio::test]
async fn a_name_is_given_once() {
    let (_directory, catalogs) = catalogs();
    for catalog in catalogs {
        for round in 0..8 {
            let database = format!("d{round}");
            let options = |at: usize| BTreeMap::from([("i".to_string(), at.to_string())]);
            let asked = (0..6).map(|at| {
                let (catalog, database, options) = (&catalog, &database, options(at));
                async move { catalog.create_database_with(database, &options).await }
            });
            let made = futures::future::join_all(asked).await;
            let winner = made.iter().position(Result::is_ok).unwrap();
            let lost = |made: &&Result<()>| matches!(made, Err(Error::AlreadyExists(_)));
            assert_eq!(made.iter().filter(lost).count(), 5, "{made:?}");
            assert_eq!(catalog.database(&database).await.unwrap().options, options(winner));
            let (object, view) = (name(&format!("{database}.x")), View::default());
            let (table, view) =
                futures::join!(catalog.create_table(&object, schema()), catalog.create_view(&object, &view));
            assert!(table.is_ok() != view.is_ok(), "{:?} {view:?}", table.err());
        }
    }
}

#[tokio::test]
async fn options_of_a_warehouse_are_honoured_or_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let warehouse = directory.path().to_str().unwrap();
    let told = [
        ("table-default.snapshot.num-retained.min", "3"),
        ("table-default.bucket", "4"),
        ("warehouse", warehouse),
        ("lock.enabled", "true"),
        ("cache-enabled", "false"),
        ("s3.endpoint", "http://e"),
    ];
    let catalog = Catalog::open(warehouse, told).unwrap();
    catalog.create_database("d").await.unwrap();
    let own = Schema { options: [("bucket".to_string(), "-1".to_string())].into(), ..schema() };
    let table = catalog.create_table(&name("d.t"), own).await.unwrap();
    assert_eq!(table.schema().option("snapshot.num-retained.min"), Some("3"));
    assert_eq!(table.schema().option("bucket"), Some("-1"), "a table's own options count first");
    assert!(Catalog::open(warehouse, [("lock.type", "hive"), ("lock.enabled", "false")]).is_ok());
    for (key, value) in [
        ("uri", "jdbc:sqlite:c.db"),
        ("lock.type", "zookeeper"),
        ("warehouse", "/elsewhere"),
        ("table.type", "external"),
        ("resolving-file-io.enabled", "true"),
        ("catalog-key", "k"),
        ("colour", "blue"),
    ] {
        let words = Catalog::open(warehouse, [(key, value)]).unwrap_err().to_string();
        assert!(words.contains(key), "{key}: {words}");
    }
}

#[tokio::test]
async fn databases_and_tables_come_and_go() {
    let (_directory, stores) = stores();
    for warehouse in stores {
        let catalog = Catalog::of(warehouse.clone());
        assert!(catalog.list_databases().await.unwrap().is_empty());
        assert!(matches!(catalog.list_tables("shop").await, Err(Error::NotFound(_))));
        assert!(matches!(catalog.create_table(&name("shop.orders"), schema()).await, Err(Error::NotFound(_))));
        catalog.create_database("shop").await.unwrap();
        assert!(matches!(catalog.create_database("shop").await, Err(Error::AlreadyExists(_))));
        assert!(matches!(catalog.create_database("sys").await, Err(Error::Invalid(_))));
        assert!(catalog.list_tables("shop").await.unwrap().is_empty());
        let store = catalog.create_table(&name("shop.orders"), schema()).await.unwrap().store().clone();
        catalog.create_table(&name("shop.items"), schema()).await.unwrap();
        assert!(store.location().ends_with("/shop.db/orders"), "{}", store.location());
        assert_eq!(catalog.require_table(&name("shop.orders")).await.unwrap().location(), store.location());
        let found = Schemas::new(store.clone()).latest().await.unwrap().unwrap();
        assert_eq!((found.id, found.fields.len()), (0, 1));
        assert!(found.time_millis > 0);
        assert!(matches!(catalog.create_table(&name("shop.orders"), schema()).await, Err(Error::AlreadyExists(_))));
        warehouse.write("shop.db/stray/x", Bytes::new()).await.unwrap();
        assert_eq!(catalog.list_databases().await.unwrap(), ["shop"]);
        assert_eq!(catalog.list_tables("shop").await.unwrap(), ["items", "orders"]);
        assert!(matches!(catalog.drop_database("shop", false).await, Err(Error::Invalid(_))));
        store.write("bucket-0/data-1", Bytes::from_static(b"x")).await.unwrap();
        catalog.drop_table(&name("shop.orders")).await.unwrap();
        assert!(store.list_recursive("").await.unwrap().is_empty());
        assert!(matches!(catalog.drop_table(&name("shop.orders")).await, Err(Error::NotFound(_))));
        assert_eq!(catalog.list_tables("shop").await.unwrap(), ["items"]);
        catalog.drop_database("shop", true).await.unwrap();
        assert!(catalog.list_databases().await.unwrap().is_empty());
        assert!(matches!(catalog.drop_database("shop", true).await, Err(Error::NotFound(_))));
    }
}

#[tokio::test]
async fn tables_are_renamed_on_disk_and_refused_elsewhere() {
    let (_directory, [local, memory]) = catalogs();
    for catalog in [&local, &memory] {
        catalog.create_database("a").await.unwrap();
        catalog.create_database("b").await.unwrap();
        catalog.create_table(&name("a.t"), schema()).await.unwrap();
    }
    assert!(matches!(memory.rename_table(&name("a.t"), &name("b.u")).await, Err(Error::Unsupported(_))));
    local.rename_table(&name("a.t"), &name("b.u")).await.unwrap();
    assert_eq!(local.list_tables("b").await.unwrap(), ["u"]);
    local.create_table(&name("a.t"), schema()).await.unwrap();
    assert!(matches!(local.rename_table(&name("a.t"), &name("b.u")).await, Err(Error::AlreadyExists(_))));
    assert!(matches!(local.rename_table(&name("a.t"), &name("c.u")).await, Err(Error::NotFound(_))));
    assert!(matches!(local.rename_table(&name("a.x"), &name("b.x")).await, Err(Error::NotFound(_))));
    local.create_view(&name("b.v"), &View::default()).await.unwrap();
    assert!(matches!(local.rename_table(&name("a.t"), &name("b.v")).await, Err(Error::AlreadyExists(_))));
    assert_eq!(local.list_tables("a").await.unwrap(), ["t"]);
}

#[tokio::test]
async fn of_many_creators_one_wins() {
    let (_directory, catalogs) = catalogs();
    for catalog in catalogs {
        catalog.create_database("db").await.unwrap();
        let rivals = (0..8).map(|rival| {
            let catalog = catalog.clone();
            let schema = Schema { comment: Some(format!("rival {rival}")), ..schema() };
            tokio::spawn(async move { catalog.create_table(&name("db.t"), schema).await })
        });
        let outcomes: Vec<_> = futures::future::join_all(rivals).await.into_iter().map(|done| done.unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let lost = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::AlreadyExists(_))));
        assert_eq!(lost.count(), 7);
    }
}

#[tokio::test]
async fn a_database_has_options_and_views_that_other_engines_do_not_see() {
    let (_directory, catalogs) = catalogs();
    for catalog in catalogs {
        let options = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        };
        catalog.create_database_with("d", &options(&[("comment", "c"), ("a", "1")])).await.unwrap();
        catalog.alter_database("d", &options(&[("b", "2")]), &["a".to_string()]).await.unwrap();
        assert_eq!(catalog.database("d").await.unwrap().options, options(&[("b", "2"), ("comment", "c")]));
        let elsewhere = catalog.create_database_with("e", &options(&[("location", "/x")])).await;
        assert!(matches!(elsewhere, Err(Error::Unsupported(_))));
        assert!(!catalog.database_exists("e").await.unwrap());
        let view = View { query: "SELECT 1".into(), ..View::default() };
        assert!(matches!(catalog.create_view(&name("e.v"), &view).await, Err(Error::NotFound(_))));
        catalog.create_view(&name("d.v"), &view).await.unwrap();
        assert!(matches!(catalog.create_view(&name("d.v"), &view).await, Err(Error::AlreadyExists(_))));
        assert!(matches!(catalog.create_table(&name("d.v"), schema()).await, Err(Error::AlreadyExists(_))));
        let added = [ViewChange::AddDialect { dialect: "spark".into(), query: "SELECT 1".into() }];
        catalog.alter_view(&name("d.v"), &added).await.unwrap();
        assert!(matches!(catalog.alter_view(&name("d.v"), &added).await, Err(Error::AlreadyExists(_))));
        assert_eq!(catalog.view(&name("d.v")).await.unwrap().dialects, options(&[("spark", "SELECT 1")]));
        assert_eq!(catalog.list_views("d").await.unwrap(), ["v"]);
        assert!(catalog.list_tables("d").await.unwrap().is_empty());
        assert!(matches!(catalog.drop_database("d", false).await, Err(Error::Invalid(_))));
        catalog.drop_view(&name("d.v")).await.unwrap();
        assert!(matches!(catalog.view(&name("d.v")).await, Err(Error::NotFound(_))));
        catalog.drop_database("d", false).await.unwrap();
    }
}
