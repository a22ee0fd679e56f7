package forebay.vintages;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.paimon.data.BinaryString;
import org.apache.paimon.data.Decimal;
import org.apache.paimon.data.GenericArray;
import org.apache.paimon.data.GenericMap;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.data.InternalArray;
import org.apache.paimon.data.InternalMap;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.data.Timestamp;
import org.apache.paimon.types.ArrayType;
import org.apache.paimon.types.CharType;
import org.apache.paimon.types.DataField;
import org.apache.paimon.types.DataType;
import org.apache.paimon.types.DataTypes;
import org.apache.paimon.types.DecimalType;
import org.apache.paimon.types.LocalZonedTimestampType;
import org.apache.paimon.types.MapType;
import org.apache.paimon.types.MultisetType;
import org.apache.paimon.types.RowType;
import org.apache.paimon.types.TimestampType;

/** Values of every type from a number, and their JSON. */
final class Values {
    private Values() {}

    /** A row of a key; every fifth of its other values is NULL. */
    static GenericRow row(RowType type, int key, long turn) {
        GenericRow row = new GenericRow(type.getFieldCount());
        for (int at = 0; at < type.getFieldCount(); at++) {
            long seed = key * 31L + turn * 7 + at * 13L;
            boolean isKey = type.getFieldNames().get(at).equals("k");
            row.setField(at, isKey ? (Object) key : value(type.getTypeAt(at), seed));
        }
        return row;
    }

    static Object value(DataType type, long seed) {
        if (type.isNullable() && seed % 5 == 0) {
            return null;
        }
        long odd = seed % 2 == 0 ? seed * 7919 : -seed * 104729;
        switch (type.getTypeRoot()) {
            case BOOLEAN: return seed % 3 == 0;
            case TINYINT: return (byte) odd;
            case SMALLINT: return (short) odd;
            case INTEGER: return (int) odd;
            case BIGINT: return odd * 1_000_003L;
            case FLOAT: return odd / 8f;
            case DOUBLE: return odd / 16d;
            case DECIMAL: {
                DecimalType decimal = (DecimalType) type;
                BigInteger digits = BigInteger.valueOf(odd);
                digits = decimal.getPrecision() > 18 ? digits.multiply(BigInteger.TEN.pow(18)) : digits;
                return Decimal.fromBigDecimal(
                        new BigDecimal(digits, decimal.getScale()), decimal.getPrecision(), decimal.getScale());
            }
            case CHAR: return BinaryString.fromString(("c" + seed + "......").substring(0, ((CharType) type).getLength()));
            case VARCHAR: return BinaryString.fromString(seed % 7 == 0 ? "" : "v\u00e4" + seed);
            case BINARY: case VARBINARY: return new byte[] {(byte) seed, 0, (byte) 0xff, (byte) odd};
            case DATE: return (int) (odd % 30_000);
            case TIME_WITHOUT_TIME_ZONE: return (int) (Math.abs(odd) * 1013 % 86_400_000);
            case TIMESTAMP_WITHOUT_TIME_ZONE: return time(((TimestampType) type).getPrecision(), odd);
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE: return time(((LocalZonedTimestampType) type).getPrecision(), odd);
            case ARRAY: {
                DataType element = ((ArrayType) type).getElementType();
                Object[] values = new Object[(int) (seed % 3)];
                for (int at = 0; at < values.length; at++) {
                    values[at] = value(element, seed + 2 * at + 1);
                }
                return new GenericArray(values);
            }
            case MAP: return map(((MapType) type).getKeyType(), ((MapType) type).getValueType(), seed);
            case MULTISET: return map(((MultisetType) type).getElementType(), DataTypes.INT().notNull(), seed);
            case ROW: {
                RowType row = (RowType) type;
                GenericRow values = new GenericRow(row.getFieldCount());
                for (int at = 0; at < row.getFieldCount(); at++) {
                    values.setField(at, value(row.getTypeAt(at), seed + at));
                }
                return values;
            }
            default: throw new IllegalArgumentException(type.toString());
        }
    }

    private static GenericMap map(DataType key, DataType value, long seed) {
        Map<Object, Object> map = new LinkedHashMap<>();
        for (int at = 0; at < seed % 3; at++) {
            map.put(value(key.notNull(), seed + 2 * at), value(value, seed + at));
        }
        return new GenericMap(map);
    }

    /** From 1590 on; whole seconds before 1970: ORC loses a second of some others, and days of older ones. */
    private static Timestamp time(int precision, long odd) {
        // Elsewhere than in UTC from 1906 to 2033, where all know the same rules.
        boolean utc = java.util.TimeZone.getDefault().getID().equals("UTC");
        long seconds = odd * 3_001 % (utc ? 12_000_000_000L : 2_000_000_000L);
        long nanos = seconds < 0 ? 0 : Math.abs(odd) * 987_654_321L % 1_000_000_000L;
        long unit = (long) Math.pow(10, 9 - precision);
        nanos = nanos / unit * unit;
        return Timestamp.fromLocalDateTime(LocalDateTime.ofEpochSecond(seconds, (int) nanos, ZoneOffset.UTC));
    }

    static String json(RowType type, InternalRow row) {
        List<String> cells = new ArrayList<>();
        for (int at = 0; at < type.getFieldCount(); at++) {
            DataField field = type.getFields().get(at);
            Object value = InternalRow.createFieldGetter(field.type(), at).getFieldOrNull(row);
            cells.add(text(field.name()) + ":" + json(field.type(), value));
        }
        return "{" + String.join(",", cells) + "}";
    }

    private static String json(DataType type, Object value) {
        if (value == null) {
            return "null";
        }
        switch (type.getTypeRoot()) {
            case CHAR: case VARCHAR: return text(value.toString());
            case BINARY: case VARBINARY: return text(Base64.getEncoder().encodeToString((byte[]) value));
            case DECIMAL: return ((Decimal) value).toBigDecimal().toPlainString();
            case FLOAT: case DOUBLE: return number(((Number) value).doubleValue(), value);
            case DATE: return text(LocalDate.ofEpochDay((int) value).toString());
            case TIME_WITHOUT_TIME_ZONE: {
                int millis = (int) value;
                return text(String.format("%02d:%02d:%02d.%03d", millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60, millis % 1000));
            }
            case TIMESTAMP_WITHOUT_TIME_ZONE:
                return text(shown((Timestamp) value, ((TimestampType) type).getPrecision()));
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return text(shown((Timestamp) value, ((LocalZonedTimestampType) type).getPrecision()) + "Z");
            case ARRAY: {
                InternalArray array = (InternalArray) value;
                return "[" + String.join(",", items(((ArrayType) type).getElementType(), array)) + "]";
            }
            case MAP: return pairs(((MapType) type).getKeyType(), ((MapType) type).getValueType(), (InternalMap) value);
            case MULTISET: return pairs(((MultisetType) type).getElementType(), DataTypes.INT(), (InternalMap) value);
            case ROW: return json((RowType) type, (InternalRow) value);
            default: return value.toString();
        }
    }

    private static List<String> items(DataType type, InternalArray array) {
        List<String> items = new ArrayList<>();
        InternalArray.ElementGetter getter = InternalArray.createElementGetter(type);
        for (int at = 0; at < array.size(); at++) {
            items.add(json(type, getter.getElementOrNull(array, at)));
        }
        return items;
    }

    private static String pairs(DataType key, DataType value, InternalMap map) {
        List<String> keys = items(key, map.keyArray());
        List<String> values = items(value, map.valueArray());
        List<String> pairs = new ArrayList<>();
        for (int at = 0; at < keys.size(); at++) {
            pairs.add("[" + keys.get(at) + "," + values.get(at) + "]");
        }
        Collections.sort(pairs);
        return "[" + String.join(",", pairs) + "]";
    }

    private static String number(double wide, Object value) {
        return Double.isFinite(wide) ? value.toString() : text(value.toString());
    }

    private static String shown(Timestamp time, int precision) {
        Instant instant = Instant.ofEpochMilli(time.getMillisecond()).plusNanos(time.getNanoOfMillisecond());
        String base = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss").format(instant.atOffset(ZoneOffset.UTC));
        String digits = String.format("%09d", instant.getNano()).substring(0, precision);
        return precision == 0 ? base : base + "." + digits;
    }

    private static String text(String value) {
        StringBuilder out = new StringBuilder("\"");
        for (char it : value.toCharArray()) {
            if (it == '"' || it == '\\') {
                out.append('\\').append(it);
            } else if (it < ' ') {
                out.append(String.format("\\u%04x", (int) it));
            } else {
                out.append(it);
            }
        }
        return out.append('"').toString();
    }
}
