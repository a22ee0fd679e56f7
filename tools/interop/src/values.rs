//! Random types and values, extremes among them.

use forebay::types::{DataType, Datum, TypeKind};

use crate::Random;
use crate::json::{settled, timestamp};

/// The number of kinds of scalar types.
pub const ALL_KINDS: usize = 16;

/// First and last day of the years 1 to 9999, which every engine can show.
const DAYS: (i64, i64) = (-719_162, 2_932_896);
const DAY_NANOS: i128 = 86_400_000_000_000;

/// A type of the `which`-th kind with random parameters.
pub fn random_kind(random: &mut Random, which: usize) -> TypeKind {
    let precision = |random: &mut Random| random.below(10) as u8;
    match which {
        0 => TypeKind::Boolean,
        1 => TypeKind::TinyInt,
        2 => TypeKind::SmallInt,
        3 => TypeKind::Int,
        4 => TypeKind::BigInt,
        5 => TypeKind::Float,
        6 => TypeKind::Double,
        7 => {
            // As many digits as INT32, INT64 and byte arrays hold.
            let (low, high) = random.pick(&[(1, 9), (10, 18), (19, 38), (38, 38)]);
            let precision = random.between(low, high) as u8;
            TypeKind::Decimal { precision, scale: random.below(usize::from(precision) + 1) as u8 }
        }
        8 => TypeKind::Char(random.between(1, 20) as u32),
        9 => {
            if random.chance(60) {
                TypeKind::STRING
            } else {
                TypeKind::VarChar(random.between(1, 40) as u32)
            }
        }
        10 => TypeKind::Binary(random.between(1, 20) as u32),
        11 => {
            if random.chance(60) {
                TypeKind::BYTES
            } else {
                TypeKind::VarBinary(random.between(1, 40) as u32)
            }
        }
        12 => TypeKind::Date,
        13 => TypeKind::Time(precision(random)),
        14 => TypeKind::Timestamp(precision(random)),
        15 => TypeKind::TimestampLtz(precision(random)),
        other => panic!("kind {other} of {ALL_KINDS}"),
    }
}

/// A value of a type; one in five is extreme.
pub fn random_value(random: &mut Random, kind: &TypeKind) -> Datum {
    let extreme = random.chance(20);
    let mut whole = |low: i64, high: i64| match random.below(100) {
        _ if extreme => random.pick(&[low, high, 0, -1, 1]),
        0..50 => random.between(-9, 9),
        _ => random.between(low, high),
    };
    match kind {
        TypeKind::Boolean => Datum::Boolean(random.chance(50)),
        TypeKind::TinyInt => Datum::TinyInt(whole(i8::MIN.into(), i8::MAX.into()) as i8),
        TypeKind::SmallInt => Datum::SmallInt(whole(i16::MIN.into(), i16::MAX.into()) as i16),
        TypeKind::Int => Datum::Int(whole(i32::MIN.into(), i32::MAX.into()) as i32),
        TypeKind::BigInt => Datum::BigInt(whole(i64::MIN, i64::MAX)),
        TypeKind::Float => Datum::Float(match extreme {
            true => random.pick(&[
                f32::NAN,
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::MIN,
                f32::MAX,
                f32::from_bits(1),
                -0.0,
                0.0,
            ]),
            false => random.between(-100_000, 100_000) as f32 / random.pick(&[1.0, 8.0, 7.0, 1e-20]),
        }),
        TypeKind::Double => Datum::Double(match extreme {
            true => random.pick(&[
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MIN,
                f64::MAX,
                f64::from_bits(1),
                -0.0,
                0.0,
            ]),
            false => random.between(-100_000, 100_000) as f64 / random.pick(&[1.0, 8.0, 7.0, 1e-200]),
        }),
        TypeKind::Decimal { precision, .. } => {
            let limit = 10_i128.pow((*precision).into()) - 1;
            Datum::Decimal(match extreme {
                true => random.pick(&[limit, -limit, 0, -1, 1]),
                false => {
                    let digits = 10_i128.pow(random.between(1, (*precision).into()) as u32);
                    let wide = (i128::from(random.bits()) << 62) ^ i128::from(random.bits());
                    wide % digits * if random.chance(50) { 1 } else { -1 }
                }
            })
        }
        TypeKind::Char(most) | TypeKind::VarChar(most) => Datum::String(random_text(random, extreme, *most)),
        TypeKind::Binary(most) | TypeKind::VarBinary(most) => {
            let length = random.below((*most).min(if extreme { 40 } else { 12 }) as usize + 1);
            let all = random.pick(&[None, Some(0xFF_u8), Some(0), Some(0x80)]);
            let mut byte = || if extreme { all } else { None }.unwrap_or(random.bits() as u8);
            Datum::Bytes((0..length).map(|_| byte()).collect())
        }
        TypeKind::Date => Datum::Date(random_day(random, extreme) as i32),
        TypeKind::Time(precision) => {
            let millis = if extreme { random.pick(&[0, 86_399_999]) } else { random.between(0, 86_399_999) };
            Datum::Time(cut(millis.into(), 3, *precision) as i32)
        }
        TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision) => {
            let of_day = i128::from(random.bits()) % DAY_NANOS;
            let of_day = if extreme { random.pick(&[0, DAY_NANOS - 1]) } else { of_day };
            timestamp(cut(i128::from(random_day(random, extreme)) * DAY_NANOS + of_day, 9, *precision))
        }
        nested => random_nested(random, nested, extreme),
    }
}

/// Kinds of nested types: ARRAY, MAP, ROW, and MULTISET and VARIANT, which pypaimon does not know.
pub const NESTED: [usize; 5] = [0, 1, 3, 2, 4];

/// A nested type of up to four levels, of some of the kinds, with scalar kinds and multisets that are allowed. Keys of maps have one
/// text on every engine: no floats, no timestamps. Names of fields are `field` and a number.
pub fn random_nested_kind(
    random: &mut Random,
    kinds: &[usize],
    (allowed, field): (&dyn Fn(&TypeKind) -> bool, &str),
    depth: usize,
) -> TypeKind {
    let scalar = |random: &mut Random, which: usize| loop {
        let kind = random_kind(random, which);
        if allowed(&kind) {
            return kind;
        }
    };
    let part = |random: &mut Random| {
        let kind = match depth < 3 && random.chance(30) {
            true => random_nested_kind(random, kinds, (allowed, field), depth + 1),
            false => {
                let which = random.below(ALL_KINDS);
                scalar(random, which)
            }
        };
        DataType { kind, nullable: random.chance(75) }
    };
    let key = |random: &mut Random| {
        let which = random.pick(&[1, 2, 3, 4, 9, 12]);
        DataType { kind: scalar(random, which), nullable: random.chance(50) }
    };
    match *random.one_of(kinds) {
        0 => DataType::array(part(random)).kind,
        1 => DataType::map(key(random), part(random)).kind,
        2 => loop {
            let kind = DataType::multiset(key(random)).kind;
            if allowed(&kind) {
                return kind;
            }
        },
        4 if allowed(&TypeKind::Variant) => TypeKind::Variant,
        _ => {
            let count = random.between(1, 4) as usize;
            DataType::row((0..count).map(|at| (format!("{field}{at}"), part(random))).collect::<Vec<_>>()).kind
        }
    }
}

fn random_nested(random: &mut Random, kind: &TypeKind, extreme: bool) -> Datum {
    let most = if extreme { 20 } else { 4 };
    let count = random.below(most);
    let value = match kind {
        TypeKind::Array(element) => Datum::Array((0..count).map(|_| random_cell(random, element)).collect()),
        TypeKind::Map(map) => {
            let keys = distinct(random, &map.key, count);
            Datum::Map(keys.into_iter().map(|key| (key, random_cell(random, &map.value))).collect())
        }
        TypeKind::Multiset(element) => {
            let keys = distinct(random, element, count);
            Datum::Map(keys.into_iter().map(|key| (key, Datum::Int(random.between(1, 9) as i32))).collect())
        }
        TypeKind::Row(fields) => Datum::Row(fields.iter().map(|it| random_cell(random, &it.data_type)).collect()),
        TypeKind::Variant => random_variant(random),
        scalar => panic!("{scalar} has no parts"),
    };
    settled(value)
}

/// The binaries of a variant: value and metadata.
fn random_variant(random: &mut Random) -> Datum {
    let number = random.bits() as u8;
    let none = vec![1, 0, 0];
    let (value, metadata) = match random.below(9) {
        0 => (vec![0], none),                                            // null
        1 => (vec![random.pick(&[4, 8])], none),                         // true, false
        2 => (vec![12, number], none),                                   // 8 bits
        3 => ([&[24], &random.bits().to_le_bytes()[..]].concat(), none), // 64 bits
        4 => (vec![32, 2, number, 0, 0, 0], none),                       // a decimal of 9 digits, 2 behind the point
        5 => (vec![9, b'a', b'0' + number % 10], none),                  // a short text
        6 => ([&[64, 70, 0, 0, 0], &[b'x'; 70][..]].concat(), none),     // a long one
        7 => (vec![3, 2, 0, 2, 4, 12, 1, 12, number], none),             // [1, number]
        _ => (vec![2, 1, 0, 0, 2, 12, number], vec![1, 1, 0, 1, b'a']),  // {"a": number}
    };
    Datum::Row(vec![Datum::Bytes(value), Datum::Bytes(metadata)])
}

/// A value of a type, or NULL where it may be.
pub fn random_cell(random: &mut Random, data_type: &DataType) -> Datum {
    if data_type.nullable && random.chance(20) { Datum::Null } else { random_value(random, &data_type.kind) }
}

/// Some values that differ, for the keys of a map.
fn distinct(random: &mut Random, data_type: &DataType, count: usize) -> Vec<Datum> {
    let mut keys: Vec<Datum> = Vec::new();
    for _ in 0..count {
        let key = random_value(random, &data_type.kind);
        if keys.iter().all(|other| other.total_cmp(&key).is_ne()) {
            keys.push(key);
        }
    }
    keys
}

fn random_day(random: &mut Random, extreme: bool) -> i64 {
    match extreme {
        true => random.pick(&[DAYS.0, DAYS.1, 0, -1, 1]),
        false if random.chance(70) => random.between(-30_000, 30_000),
        false => random.between(DAYS.0, DAYS.1),
    }
}

/// A number of `digits` decimal places with those beyond `precision` cut away, downwards.
fn cut(value: i128, digits: u8, precision: u8) -> i128 {
    let unit = 10_i128.pow(u32::from(digits.saturating_sub(precision)));
    value.div_euclid(unit) * unit
}

fn random_text(random: &mut Random, extreme: bool, most: u32) -> String {
    let alphabet: &[char] = match extreme {
        true => random.pick(&[
            &['\u{10FFFF}', 'a'] as &[char],
            &['\u{FFFF}', '\u{E000}', 'é'],
            &['\u{0}', '\u{7F}', ' '],
            &['z'],
        ]),
        false => &['a', 'b', 'c', 'x', 'Z', '0', '9', '-', '/', '=', '"', 'ß', '你', '🦀'],
    };
    let length = random.below(most.min(if extreme { 40 } else { 14 }) as usize + 1);
    (0..length).map(|_| random.pick(alphabet)).collect()
}
