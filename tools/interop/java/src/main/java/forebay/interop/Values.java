package forebay.interop;

import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
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
import org.apache.paimon.data.variant.GenericVariant;
import org.apache.paimon.data.variant.Variant;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.types.ArrayType;
import org.apache.paimon.types.DataField;
import org.apache.paimon.types.DataType;
import org.apache.paimon.types.DataTypeChecks;
import org.apache.paimon.types.DataTypes;
import org.apache.paimon.types.DecimalType;
import org.apache.paimon.types.MapType;
import org.apache.paimon.types.MultisetType;
import org.apache.paimon.types.RowType;

/** Paimon's internal values to JSON and back, by the rules of the golden tables (see the README). */
final class Values {
    private static final DateTimeFormatter SECONDS = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss");
    private static final DateTimeFormatter DAY = DateTimeFormatter.ofPattern("uuuu-MM-dd");
    private static final DateTimeFormatter MILLIS = DateTimeFormatter.ofPattern("HH:mm:ss.SSS");

    private Values() {}

    static ObjectNode toJson(RowType type, InternalRow row) {
        ObjectNode json = Json.object();
        for (int i = 0; i < type.getFieldCount(); i++) {
            DataField field = type.getFields().get(i);
            json.set(field.name(), toJson(field.type(), InternalRow.createFieldGetter(field.type(), i).getFieldOrNull(row)));
        }
        return json;
    }

    static JsonNode toJson(DataType type, Object value) {
        if (value == null) {
            return Json.NODES.nullNode();
        }
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return Json.NODES.booleanNode((Boolean) value);
            case TINYINT:
            case SMALLINT:
            case INTEGER:
            case BIGINT:
                return Json.NODES.numberNode(((Number) value).longValue());
            case FLOAT:
                float single = (Float) value;
                return Float.isFinite(single) ? Json.NODES.numberNode(single) : Json.NODES.textNode(Float.toString(single));
            case DOUBLE:
                double wide = (Double) value;
                return Double.isFinite(wide) ? Json.NODES.numberNode(wide) : Json.NODES.textNode(Double.toString(wide));
            case DECIMAL:
                return Json.NODES.numberNode(((Decimal) value).toBigDecimal());
            case CHAR:
            case VARCHAR:
                return Json.NODES.textNode(value.toString());
            case BINARY:
            case VARBINARY:
                return Json.NODES.textNode(Base64.getEncoder().encodeToString((byte[]) value));
            case DATE:
                return Json.NODES.textNode(LocalDate.ofEpochDay((Integer) value).format(DAY));
            case TIME_WITHOUT_TIME_ZONE:
                return Json.NODES.textNode(LocalTime.ofNanoOfDay((Integer) value * 1_000_000L).format(MILLIS));
            case TIMESTAMP_WITHOUT_TIME_ZONE:
                return Json.NODES.textNode(dateTime(type, (Timestamp) value));
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return Json.NODES.textNode(dateTime(type, (Timestamp) value) + "Z");
            case ARRAY:
                return array(((ArrayType) type).getElementType(), (InternalArray) value);
            case MAP:
                return entries(((MapType) type).getKeyType(), ((MapType) type).getValueType(), (InternalMap) value);
            case MULTISET:
                return entries(((MultisetType) type).getElementType(), DataTypes.INT(), (InternalMap) value);
            case ROW:
                return toJson((RowType) type, (InternalRow) value);
            case VARIANT:
                Variant variant = (Variant) value;
                return Json.object().put("value", variant.value()).put("metadata", variant.metadata());
            default:
                throw new UnsupportedOperationException("this program has no JSON form for " + type);
        }
    }

    private static String dateTime(DataType type, Timestamp value) {
        int digits = DataTypeChecks.getPrecision(type);
        LocalDateTime time = value.toLocalDateTime();
        String text = time.format(SECONDS);
        return digits == 0 ? text : text + "." + String.format("%09d", time.getNano()).substring(0, digits);
    }

    private static ArrayNode array(DataType element, InternalArray values) {
        ArrayNode json = Json.array();
        InternalArray.ElementGetter getter = InternalArray.createElementGetter(element);
        for (int i = 0; i < values.size(); i++) {
            json.add(toJson(element, getter.getElementOrNull(values, i)));
        }
        return json;
    }

    private static ArrayNode entries(DataType key, DataType value, InternalMap map) {
        ArrayNode keys = array(key, map.keyArray());
        ArrayNode values = array(value, map.valueArray());
        List<ArrayNode> entries = new ArrayList<>();
        for (int i = 0; i < keys.size(); i++) {
            entries.add(Json.array().add(keys.get(i)).add(values.get(i)));
        }
        entries.sort(Comparator.comparing(entry -> entry.get(0), Values::compareKeys));
        ArrayNode json = Json.array();
        entries.forEach(json::add);
        return json;
    }

    static int compareKeys(JsonNode left, JsonNode right) {
        return left.isNumber() && right.isNumber()
                ? left.decimalValue().compareTo(right.decimalValue())
                : left.asText().compareTo(right.asText());
    }

    /** A column that the JSON object leaves out is null. A name that the table lacks is an error. */
    static GenericRow rowOf(RowType type, JsonNode json) {
        if (!json.isObject()) {
            throw new IllegalArgumentException("a row must be a JSON object, not " + json);
        }
        json.fieldNames().forEachRemaining(name -> {
            if (!type.containsField(name)) {
                throw new IllegalArgumentException("no column \"" + name + "\" in " + type.getFieldNames());
            }
        });
        GenericRow row = new GenericRow(type.getFieldCount());
        for (int i = 0; i < type.getFieldCount(); i++) {
            DataField field = type.getFields().get(i);
            try {
                row.setField(i, valueOf(field.type(), json.get(field.name())));
            } catch (RuntimeException e) {
                throw new IllegalArgumentException("column \"" + field.name() + "\": " + json.get(field.name()), e);
            }
        }
        return row;
    }

    static Object valueOf(DataType type, JsonNode json) {
        if (json == null || json.isNull()) {
            return null;
        }
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                if (!json.isBoolean()) {
                    throw new IllegalArgumentException("true or false is wanted, not " + json);
                }
                return json.booleanValue();
            case TINYINT:
                return number(json).byteValueExact();
            case SMALLINT:
                return number(json).shortValueExact();
            case INTEGER:
                return number(json).intValueExact();
            case BIGINT:
                return number(json).longValueExact();
            case FLOAT:
                return Float.parseFloat(json.asText());
            case DOUBLE:
                return Double.parseDouble(json.asText());
            case DECIMAL:
                DecimalType decimal = (DecimalType) type;
                BigDecimal exact = number(json).setScale(decimal.getScale());
                Decimal value = Decimal.fromBigDecimal(exact, decimal.getPrecision(), decimal.getScale());
                if (value == null) {
                    throw new IllegalArgumentException(json + " does not fit " + type);
                }
                return value;
            case CHAR:
            case VARCHAR:
                return BinaryString.fromString(text(type, json));
            case BINARY:
            case VARBINARY:
                return Base64.getDecoder().decode(text(type, json));
            case DATE:
                return Math.toIntExact(LocalDate.parse(text(type, json), DAY).toEpochDay());
            case TIME_WITHOUT_TIME_ZONE:
                return Math.toIntExact(LocalTime.parse(text(type, json)).toNanoOfDay() / 1_000_000L);
            case TIMESTAMP_WITHOUT_TIME_ZONE:
                return Timestamp.fromLocalDateTime(LocalDateTime.parse(text(type, json)));
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return Timestamp.fromInstant(Instant.parse(text(type, json)));
            case ARRAY:
                List<Object> elements = new ArrayList<>();
                json.forEach(element -> elements.add(valueOf(((ArrayType) type).getElementType(), element)));
                return new GenericArray(elements.toArray());
            case MAP:
                return mapOf(((MapType) type).getKeyType(), ((MapType) type).getValueType(), json);
            case MULTISET:
                return mapOf(((MultisetType) type).getElementType(), DataTypes.INT(), json);
            case ROW:
                return rowOf((RowType) type, json);
            case VARIANT:
                return new GenericVariant(bytes(json.get("value")), bytes(json.get("metadata")));
            default:
                throw new UnsupportedOperationException("this program has no JSON form for " + type);
        }
    }

    private static GenericMap mapOf(DataType key, DataType value, JsonNode json) {
        Map<Object, Object> map = new LinkedHashMap<>();
        json.forEach(entry -> map.put(valueOf(key, entry.get(0)), valueOf(value, entry.get(1))));
        return new GenericMap(map);
    }

    private static byte[] bytes(JsonNode json) {
        return Base64.getDecoder().decode(json.asText());
    }

    private static BigDecimal number(JsonNode json) {
        if (!json.isNumber()) {
            throw new IllegalArgumentException("a number is wanted, not " + json);
        }
        return json.decimalValue();
    }

    private static String text(DataType type, JsonNode json) {
        if (!json.isTextual()) {
            throw new IllegalArgumentException("a text is wanted for " + type + ", not " + json);
        }
        return json.asText();
    }
}
