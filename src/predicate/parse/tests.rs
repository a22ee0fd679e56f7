use super::*;
use crate::predicate::col;
use crate::types::{DataType, Datum, TypeKind};

fn schema() -> Schema {
    Schema::builder()
        .column("amount", DataType::decimal(10, 2))
        .column("status", DataType::STRING)
        .column("day", DataType::DATE)
        .column("n", DataType::INT)
        .column("ok", DataType::BOOLEAN)
        .column("at", DataType::timestamp(3))
        .column("in", DataType::INT)
        .column("a `b`", DataType::INT)
        .column("raw", DataType::BYTES)
        .column("größe", DataType::DOUBLE)
        .column("date", DataType::DATE)
        .column("tags", DataType::map(DataType::STRING.not_null(), DataType::BIGINT))
        .column("place", "ROW<city STRING, at ROW<x DOUBLE, `y z` DOUBLE>>".parse::<DataType>().unwrap())
        .column("seen", DataType::multiset(DataType::DATE.not_null()))
        .build()
        .unwrap()
}

fn parsed(text: &str) -> Expr {
    parse(text, &schema()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn same(text: &str, expr: Expr) {
    let bound = expr.bind(&schema()).unwrap();
    assert_eq!(parsed(text), bound, "{text}");
    assert_eq!(parsed(&bound.to_string()), bound, "{text} prints as {bound}");
}

#[test]
fn a_condition_is_read_as_it_is_built() {
    same("n > 5", col("n").gt(5));
    same("5 < n", col("n").gt(5));
    same("n != -5", col("n").ne(-5));
    same("status = 'it''s'", col("status").eq("it's"));
    same("day = '2024-01-01'", col("day").eq("2024-01-01"));
    same("day >= DATE '2024-01-01'", col("day").ge("2024-01-01"));
    same("date <= date '2024-01-01'", col("date").le("2024-01-01"));
    same("at < timestamp '2024-01-01 10:00:00.5'", col("at").lt("2024-01-01 10:00:00.500"));
    same("raw = x'00fF'", col("raw").eq(vec![0_u8, 255]));
    same("amount between 1 and 2.50", col("amount").between("1", "2.5"));
    same("amount not between 1 and 2.50", col("amount").between("1", "2.5").negate());
    same("status in ('B', 'A', 'B')", col("status").is_in(["A", "B"]));
    same("status NOT IN ('A')", col("status").is_in(["A"]).negate());
    same("status like 'a%'", col("status").starts_with("a"));
    same("status not like '_\\%'", col("status").like("_\\%").unwrap().negate());
    same("ok", col("ok").eq(true));
    same("not ok", col("ok").eq(true).negate());
    same("n is null", col("n").is_null());
    same("n IS NOT NULL", col("n").is_not_null());
    same("`in` = 1 and \"in\" = 1", col("in").eq(1).and(col("in").eq(1)));
    same("`a ``b``` = 1", col("a `b`").eq(1));
    same("größe > 1e3", col("größe").gt(1000.0));
    same("größe > .5", col("größe").gt(0.5));
    same("größe < '-Infinity'", col("größe").lt(f64::NEG_INFINITY));
    same("n > cast('5' as int)", col("n").gt(5));
    same("CAST(7 AS STRING) = status", col("status").eq("7"));
    same("amount <= cast(1.50 as DECIMAL(10, 2))", col("amount").le("1.5"));
    same(
        "day between cast('2024-01-01' as date) and CAST('2024-02-01' AS DATE)",
        col("day").between("2024-01-01", "2024-02-01"),
    );
    same("at = cast(cast('2024-01-01 00:00:00' as string) as timestamp(3))", col("at").eq("2024-01-01 00:00:00"));
    same("raw = cast(X'00' as bytes)", col("raw").eq(vec![0_u8]));
    same("größe < cast(1.5 as double)", col("größe").lt(1.5));
    same("ok = cast('true' as boolean)", col("ok").eq(true));
    same("true", Expr::And(vec![]));
    same("false or n = 1", Expr::Or(vec![Expr::Or(vec![]), col("n").eq(1)]));
}

#[test]
fn a_path_leads_into_a_column() {
    same("tags['a'] > 5", col("tags").key("a").gt(5));
    same("5 = tags['it''s']", col("tags").key("it's").eq(5));
    same("place.city in ('A', 'B')", col("place").field("city").is_in(["A", "B"]));
    same("`place`.at.`y z` between .5 and 1", col("place").field("at").field("y z").between(0.5, 1));
    same("place is null or place.at is not null", col("place").is_null().or(col("place").field("at").is_not_null()));
    same("seen['2024-01-01'] >= 2", col("seen").key("2024-01-01").ge(2));
    same("cast(status as int) = 5", col("status").cast(DataType::INT).eq(5));
    same(
        "'2024' <= cast(cast(at as date) as string)",
        col("at").cast(DataType::DATE).cast(DataType::STRING).ge("2024"),
    );
    same("cast(tags['a'] as decimal(12, 2)) = 1.5", col("tags").key("a").cast(DataType::decimal(12, 2)).eq("1.5"));
    same("cast(place.city as boolean)", col("place").field("city").cast(DataType::BOOLEAN).eq(true));
    same("cast(n as string) like '1%'", col("n").cast(DataType::STRING).starts_with("1"));
    same(
        "cast(day as timestamp(3)) < timestamp '2024-01-01 00:00:00'",
        col("day").cast(DataType::timestamp(3)).lt("2024-01-01 00:00:00"),
    );
}

#[test]
fn columns_compare_to_each_other() {
    same("n < amount", col("n").beside(Comparison::Lt, col("amount")));
    same("upper(status) <> place.city", col("status").upper().beside(Comparison::Ne, col("place").field("city")));
    same("cast(at as date) >= day", col("at").cast(DataType::DATE).beside(Comparison::Ge, col("day")));
    same("not n = tags['a']", col("n").beside(Comparison::Eq, col("tags").key("a")).negate());
    let expr = parsed("n = `in`");
    assert_eq!(expr.columns(), ["in".to_string(), "n".to_string()].into());
    let renamed = expr.rename(&|name| (name != "in").then(|| name.to_string()));
    assert_eq!(renamed, None);
    let renamed = expr.rename(&|name| Some(format!("{name}2"))).unwrap();
    assert_eq!(renamed.columns(), ["in2".to_string(), "n2".to_string()].into());
}

#[test]
fn functions_change_a_text_before_it_is_tested() {
    same("UPPER(status) = 'OPEN'", col("status").upper().eq("OPEN"));
    same("'open' = lower(trim(place.city))", col("place").field("city").trim().lower().eq("open"));
    same("substring(status, 2, 3) in ('abc')", col("status").substring(2, Some(3)).unwrap().is_in(["abc"]));
    same("substr(cast(day as string), 6) like '01%'", {
        col("day").cast(DataType::STRING).substring(6, None).unwrap().starts_with("01")
    });
    same("trim(status, ' ') is null", col("status").trim().is_null());
    let parens = parsed("rtrim(ltrim(status, '()'''), ') x') <> ''");
    assert_eq!(parsed(&parens.to_string()), parens);
    same("cast(upper(status) as int) > 5", col("status").upper().cast(DataType::INT).gt(5));
    same("status like '50!%!_%' escape '!'", col("status").starts_with("50%_"));
    same(r"status not like 'a\_' escape 'x'", col("status").like(r"a\\_").unwrap().negate());
}

#[test]
fn and_binds_tighter_than_or_and_not_tighter_than_both() {
    let (a, b, c) = (|| col("n").eq(1), || col("n").eq(2), || col("n").eq(3));
    same("n = 1 or n = 2 and not n = 3", a().or(b().and(c().negate())));
    same("(n = 1 or n = 2) and n = 3", a().or(b()).and(c()));
    same("not (n = 1 and n = 2)", a().and(b()).negate());
    same("not not n = 1", a());
}

#[test]
fn literals_are_values_of_their_column() {
    let Expr::Leaf(leaf) = parsed("amount = 1.5") else { panic!() };
    assert_eq!(leaf.kind, Some(TypeKind::Decimal { precision: 10, scale: 2 }));
    assert_eq!(leaf.test, super::super::Test::Compare(Comparison::Eq, Literal::Datum(Datum::Decimal(150))));
}

#[test]
fn an_error_tells_the_position() {
    for (text, position) in [
        ("", 1),
        ("n >", 4),
        ("n > 5 and", 10),
        ("n > 5 status = 'a'", 7),
        ("nope = 1", 1),
        ("n = 1 and nope = 1", 11),
        ("1 = nope", 5),
        ("n = 'x'", 5),
        ("n = 1.5", 5),
        ("n = 3000000000", 5),
        ("amount = 1.005", 10),
        ("status = 5", 10),
        ("day = '2024-02-30'", 7),
        ("n in (1, 2, 'x')", 13),
        ("n in ()", 7),
        ("n in (1", 8),
        ("n between 1 or 2", 13),
        ("n = null", 5),
        ("n = (1)", 5),
        ("(n = 1", 7),
        ("n = 1)", 6),
        ("n like 'a'", 1),
        ("status like 5", 13),
        ("status like 'a\\'", 13),
        ("status = 'a", 10),
        ("größe > ?", 9),
        ("n", 2),
        ("5", 2),
        ("1 = 2", 5),
        ("n = status", 5),
        ("n < nope", 5),
        ("place = place", 9),
        ("day = n", 7),
        ("upper(n) = 'A'", 1),
        ("upper('a') = status", 7),
        ("upper(status = 'A'", 14),
        ("trim(status, 5) = 'A'", 14),
        ("substring(status) = 'A'", 17),
        ("substring(status, 0) = 'A'", 19),
        ("substring(status, -1) = 'A'", 19),
        ("substring(status, 1.5) = 'A'", 19),
        ("status like 'a' escape 'bc'", 24),
        ("status like 'a!' escape '!'", 13),
        ("in = 1", 1),
        ("n not 5", 7),
        ("raw = '00'", 7),
        ("raw = X'0'", 7),
        ("n = 1 & n = 2", 7),
        ("n = - x", 7),
        ("n = cast('x' as int)", 10),
        ("n = cast(1.5 as int)", 10),
        ("n = cast(1 as)", 14),
        ("n = cast(1 as what)", 15),
        ("n = cast(1 int)", 12),
        ("n = cast(1 as int", 18),
        ("n = cast(300 as tinyint)", 10),
        ("n = cast(1 as map<int, int>)", 18),
        ("n.x = 1", 1),
        ("n['x'] = 1", 1),
        ("place.nope = 1", 1),
        ("place. = 1", 8),
        ("place.at = 1", 12),
        ("tags[5] = 1", 1),
        ("tags[n] = 1", 6),
        ("tags['a' = 1", 10),
        ("tags['a'] = 'x'", 13),
        ("cast(ok as date) is null", 1),
        ("cast(n as row<a int>) is null", 14),
        ("cast(n as variant) is null", 1),
        ("1 = cast(nope as int)", 5),
    ] {
        let error = parse(text, &schema()).unwrap_err();
        let wanted = format!("position {position}:");
        assert!(matches!(&error, Error::Invalid(message) if message.contains(&wanted)), "{text}: {error}");
    }
}

#[test]
fn deep_and_long_conditions_are_refused() {
    let deep = format!("{}n = 1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(matches!(parse(&deep, &schema()), Err(Error::Invalid(_))));
    assert!(matches!(parse(&"not ".repeat(100_000), &schema()), Err(Error::Invalid(_))));
    assert!(matches!(parse(&"tags[".repeat(100_000), &schema()), Err(Error::Invalid(_))));
    assert!(matches!(parse(&" ".repeat(2 << 20), &schema()), Err(Error::Invalid(_))));
    let wordy = parse(&format!("cast(n as {}) = 1", "int ".repeat(200_000)), &schema()).unwrap_err();
    assert!(wordy.to_string().contains("position 11: expected a type of single values"), "{wordy}");
    let wide = format!("n in ({})", (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    assert!(parse(&wide, &schema()).is_ok());
}
