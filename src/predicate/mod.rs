//! What a reader may ask: conditions over columns, or values inside of them, and literals.
//!
//! ```text
//! col("a").gt(5) ----bind----> Expr --evaluate--> which rows of a batch are true
//! parse("a > 5 and b is null")      --may_match-> whether a file can hold such a row
//!                                   --split_by, key_equalities-> which part of the table it is about
//! ```
//!
//! An [`Assignment`] tells what an update sets a column to. [`Expr::bind`] makes each literal a value of its column's type, exactly, or fails; only a bound condition
//! can be evaluated. Truth has three values as in SQL: a comparison with NULL is neither true nor false.
//! Values compare as Paimon's (Java's `compareTo`): NaN equals NaN and is the largest, -0.0 is below 0.0,
//! strings compare by bytes.

mod assign;
mod beside;
mod column;
mod evaluate;
mod expr;
mod function;
mod lane;
mod like;
mod literal;
mod parse;
mod path;
mod prune;
mod text;

pub use assign::{Assigned, Assignment, assign};
pub use column::{Column, col};
pub use evaluate::evaluate;
pub use expr::{Comparison, Expr, Leaf, Side, Test};
pub use function::{Ends, TextFunction};
pub use lane::{datum_lane, with_one_nan};
pub use like::LikePattern;
pub use literal::Literal;
pub use parse::{parse, parse_assignment};
pub use path::{Step, value_of_key};
pub use prune::{ColumnRange, may_match};
pub use text::{datum_text, parse_datum};

#[cfg(test)]
mod tests;
