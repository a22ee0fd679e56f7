//! What a store must promise, asked of real servers: each check of `checks` and each table of `tables` on the local disk,
//! in memory, and in the servers that `tools/interop/setup stores` installs. A server that cannot be started is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a panic is how a test fails

mod checks;
mod java;
mod jdbc;
mod secrets;
mod servers;
mod tables;
mod web;

/// Every check on one store, each a test of its own.
macro_rules! on {
    ($store:ident, $which:ident) => {
        on!($store, $which, checks:
            of_racing_creates_one_wins,
            creates_leave_what_is_there_alone,
            what_was_written_is_read_at_once,
            ranges_and_tails_are_read,
            a_file_that_is_not_there_is_not_found,
            directories_are_listed_one_level_deep,
            names_of_partitions_stay_as_they_are,
            files_are_deleted_one_by_one_and_many_at_once,
            large_files_are_uploaded_in_parts,
            an_upload_that_is_given_up_leaves_nothing,
            the_probe_is_passed;
        tables:
            a_table_lives_in_the_store);
    };
    ($store:ident, $which:ident, $($room:ident: $($check:ident),*);*) => {
        mod $store {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    crate::$room::$check(crate::servers::place(crate::servers::Store::$which)).await;
                }
            )*)*
        }
    };
}

on!(memory, Memory);
on!(local, Local);
on!(moto, Moto);
on!(versitygw, Versitygw);
on!(azurite, Azurite);
on!(gcs, Gcs);
#[cfg(feature = "services")]
on!(hdfs, Hdfs);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_table_of_moto_is_fetched_once() {
    tables::a_cached_table_is_fetched_once(servers::place(servers::Store::Moto)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_table_of_azurite_is_fetched_once() {
    tables::a_cached_table_is_fetched_once(servers::place(servers::Store::Azurite)).await;
}
