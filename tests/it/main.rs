//! The library from outside: tables written by Apache Paimon and by ourselves, read, followed and written again.

mod goldens;
mod support;
mod write;
